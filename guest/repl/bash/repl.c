/* exec_sandbox_repl: a builtin that owns bash's main loop (docs/decisions/0002-bash-repl-builtin.md).

   It reads programs from the private descriptor and runs each with bash's own parse_and_execute. Whatever
   would end a shell (`exit`, errexit, an unset variable under `set -u`, SIGINT) is a longjmp to bash's
   `top_level`, which is set here: so it ends the program and not the process, and variables, functions,
   directory, options, traps and jobs stay. No shell word takes part, so nothing that user code defines
   can stand in the way. */

#include "environment.h"
#include "shell-symbols.h"
#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXIT_INTERRUPTED (128 + SIGINT)

/* Bytes of seed at the beginning of an `S` message. */
#define SEED_LENGTH 32

/* A program comes with a mark, and what is said about its run begins with it. */
#define MARK_LENGTH 16

/* A program is shown by this name in messages ("bash: line 1: ..."), as $0 is. */
#define PROGRAM_NAME "bash"

/* Beside the codes of bashjmp.h: bash was about to call exit, having run the EXIT trap. */
#define JUMPED_FROM_EXIT 100

static pid_t owner;
static char mark[MARK_LENGTH];
static int saved_descriptors[3];
static SigHandler *interrupt_handler;
static volatile int running; /* A program is running, and `top_level` is ours. */
static procenv_t program_end;
static WORD_LIST *program_arguments;

static int trapped(int signal) { return signal_is_trapped(signal) && !signal_is_ignored(signal); }

static char *trap_text(int signal) { return trapped(signal) ? trap_list[signal] : NULL; }

/* Puts descriptors 0-2 back, whatever `exec` redirections the last program made. */
static void restore_descriptors(void) {
  for (int descriptor = 0; descriptor <= 2; descriptor++)
    dup2(saved_descriptors[descriptor], descriptor);
  for (int descriptor = 1; descriptor <= 2; descriptor++) {
    /* The open file is shared with every process that has it, and so is O_NONBLOCK. */
    int flags = fcntl(descriptor, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK))
      fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK);
  }
  clearerr(stdout);
  clearerr(stderr);
}

/* SIGINT reaches the program as in an interactive shell, which comes back from it to its main loop. The
   handler that bash gives to scripts would end the process. Ignored between programs. */
static void let_interrupts_through(void) {
  interrupt_state = 0;
  if (interrupt_handler)
    set_signal_handler(SIGINT, interrupt_handler);
  if (!signal_is_trapped(SIGINT))
    set_signal_handler(SIGINT, sigint_sighandler);
}

static void ignore_interrupts(void) {
  SigHandler *handler = set_signal_handler(SIGINT, SIG_IGN);
  interrupt_handler = trapped(SIGINT) || signal_is_ignored(SIGINT) ? handler : NULL;
  interrupt_state = 0;
}

/* Under errexit bash leaves by way of exit() for errors of the parser and of expansions (report_error and
   parser_error in error.c). The program ends then, and the shell does not. glibc runs exit handlers
   one by one and lets one that jumps out be registered again; the root file system pins that glibc. */
static void on_process_exit(int status, void *unused) {
  (void)unused;
  if (!running || getpid() != owner)
    return;
  on_exit(on_process_exit, NULL);
  last_command_exit_value = status;
  sh_longjmp(program_end, JUMPED_FROM_EXIT);
}

/* exit() has run the EXIT trap and left it spent. */
static void rearm_exit_trap(void) {
  char *text = trap_list[EXIT_TRAP];
  if (signal_is_trapped(EXIT_TRAP) || text == (char *)SIG_DFL || text == (char *)SIG_IGN || !*text)
    return;
  text = savestring(text);
  run_trap_cleanup(EXIT_TRAP);
  set_signal(EXIT_TRAP, text);
  xfree(text);
}

/* errexit inside a function forgets to leave it: the call stack, and the function's $1, $2, ... */
static void leave_functions(void) {
  static const char *const stacks[] = {"FUNCNAME", "BASH_SOURCE", "BASH_LINENO"};
  int inside = 0;
  for (size_t i = 0; i < sizeof stacks / sizeof *stacks; i++) {
    SHELL_VAR *variable = find_global_variable(stacks[i]);
    if (variable && array_p(variable) && array_num_elements(array_cell(variable)) > 0) {
      array_flush(array_cell(variable));
      inside = 1;
    }
  }
  if (inside)
    remember_args(program_arguments, 1);
  if (variable_context)
    reset_local_contexts();
}

/* What a jump to the top leaves undone, as bash's own reader_loop does it. */
static void tidy_up_after_jump(void) {
  if (getpid() != owner) {
    /* A subshell whose own jump target had gone: it ends here, like any subshell. */
    fflush(stdout);
    _exit(last_command_exit_value & 0xff);
  }
  top_level_cleanup();
  leave_functions();
  restore_sigmask();
  running_trap = 0;
  indirection_level = 0;
}

/* Runs shell text, which is freed. Gives its exit status and says whether it jumped out by one of the
   codes of bashjmp.h. */
static int run_text(char *text, int *jump) {
  volatile int status = EXECUTION_FAILURE;
  volatile int code = setjmp_nosigs(program_end);
  if (code == NOT_JUMPED)
    code = setjmp_nosigs(top_level);
  if (code == NOT_JUMPED) {
    executing_builtin = 0;
    this_shell_builtin = NULL;
    running = 1;
    status = parse_and_execute(text, PROGRAM_NAME, SEVAL_NONINT | SEVAL_NOHIST | SEVAL_RESETLINE);
  } else {
    running = 0;
    tidy_up_after_jump();
    status = last_command_exit_value;
  }
  running = 0;
  if (code == JUMPED_FROM_EXIT) {
    rearm_exit_trap();
    /* A failed `exec` comes this way, after it gave up the shell's own signal handlers. */
    initialize_terminating_signals();
  }
  if (interrupt_state)
    status = EXIT_INTERRUPTED;
  *jump = code;
  return status & 0xff;
}

/* Runs the text of a trap outside of its signal. Its own status counts if it exits. */
static int run_trap_text(int signal, int status) {
  int jump;
  last_command_exit_value = status;
  int trap_status = run_text(savestring(trap_text(signal)), &jump);
  return jump == NOT_JUMPED || jump == DISCARD ? status : trap_status;
}

/* Runs the program; gives its exit status. */
static int run_program(char *text) {
  int jump;
  char *exit_trap_before = trap_text(EXIT_TRAP);
  program_arguments = list_rest_of_args();
  let_interrupts_through();
  int status = run_text(text, &jump);
  /* A program that traps SIGTERM has said how it wants to be ended. A time-out begins with SIGINT, which
     would otherwise end it without that. */
  int interrupted = status == EXIT_INTERRUPTED && jump == EXITPROG;
  if (interrupted && trapped(SIGTERM))
    status = run_trap_text(SIGTERM, status);
  /* The EXIT trap runs when the program that set it ends, as it would for a script, and when a later one
     ends by exiting. It stays set. */
  if (trapped(EXIT_TRAP) && jump != JUMPED_FROM_EXIT && (jump != NOT_JUMPED || trap_text(EXIT_TRAP) != exit_trap_before))
    status = run_trap_text(EXIT_TRAP, status);
  ignore_interrupts();
  dispose_words(program_arguments);
  return status;
}

static void report_end(int status) {
  char report[MARK_LENGTH + 4];
  memcpy(report, mark, MARK_LENGTH);
  int length = snprintf(report + MARK_LENGTH, 4, "%d", status & 0xff);
  wire_send('D', report, (uint32_t)(MARK_LENGTH + length));
}

static void serve_program(char *text) {
  restore_descriptors();
  /* `set -n` would turn every later program into nothing. */
  read_but_dont_execute = 0;
  int status = run_program(text);
  fflush(stdout);
  fflush(stderr);
  environment_end_call();
  last_command_exit_value = status;
  report_end(status);
}

/* SECONDS counts by the clock, which has just been set, from a moment before the template was saved. */
static void restart_seconds(void) {
  SHELL_VAR *seconds = find_variable("SECONDS");
  if (seconds && seconds->assign_func && !readonly_p(seconds))
    bind_variable("SECONDS", "0", 0);
}

/* Resumed from a template. SRANDOM asks the kernel. */
static void adopt_seed(const struct message *message) {
  unsigned long seed;
  if (message->length < SEED_LENGTH)
    _exit(EX_BADUSAGE);
  memcpy(&seed, message->payload, sizeof seed);
  sbrand(seed);
  restart_seconds();
  const char *end = message->payload + message->length;
  for (const char *entry = message->payload + SEED_LENGTH; entry < end; entry += strlen(entry) + 1)
    environment_set(entry);
  wire_send('A', "", 0);
}

/* A signal came while the REPL was idle. A trap set by user code runs with the next program. */
static void on_idle_signal(void) {
  if (terminating_signal)
    termsig_handler(terminating_signal);
}

static void serve(void) {
  struct message message;
  while (wire_receive(&message, on_idle_signal)) {
    if (message.kind == 'C') {
      if (message.length < MARK_LENGTH)
        return;
      memcpy(mark, message.payload, MARK_LENGTH);
      serve_program(savestring(message.payload + MARK_LENGTH)); /* parse_and_execute frees the text. */
      xfree(message.payload);
      continue;
    }
    if (message.kind == 'E')
      environment_set_for_call(message.payload);
    else if (message.kind == 'S')
      adopt_seed(&message);
    else
      return;
    xfree(message.payload);
  }
}

static void prepare(void) {
  /* The frames of the `bash -c` around this builtin. It never returns to them, and a jump to the top must
     not undo them: their memory and their jump targets are no longer ours. */
  clear_unwind_protect_list(0);
  parse_and_execute_level = 0;
  /* In `bash -c` (2) the last command replaces the shell instead of running in a child. */
  startup_state = 0;
  indirection_level = 0;
  for (int descriptor = 0; descriptor <= 2; descriptor++)
    saved_descriptors[descriptor] = duplicate_out_of_reach(descriptor);
  /* Done once here, it does not happen later, when `trap ... EXIT` would also take SIGINT. */
  initialize_terminating_signals();
  ignore_interrupts();
  on_exit(on_process_exit, NULL);
  builtin_address_internal("exec_sandbox_repl", 1)->flags &= ~BUILTIN_ENABLED;
  unbind_variable("BASH_EXECUTION_STRING");
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static int exec_sandbox_repl_builtin(WORD_LIST *list) {
  int jump;
  (void)list;
  if (owner != 0)
    return EXECUTION_FAILURE; /* Called by user code. */
  owner = getpid();
  if (!wire_open())
    return EXECUTION_FAILURE;
  prepare();
  run_text(savestring(":"), &jump);
  last_command_exit_value = 0;
  wire_send('R', "", 0);
  serve();
  /* The agent has closed its side: nobody is left to read what an EXIT trap would say. */
  _exit(EXECUTION_SUCCESS);
}

static char *documentation[] = {"The REPL of exec-sandbox. Runs programs that the agent sends.", NULL};

struct builtin exec_sandbox_repl_struct = {
    "exec_sandbox_repl", exec_sandbox_repl_builtin, BUILTIN_ENABLED, documentation, "exec_sandbox_repl", 0,
};
