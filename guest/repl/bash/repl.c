/* exec_sandbox_repl: a builtin that owns bash's main loop (docs/decisions/0002-bash-repl-builtin.md).

   It reads programs from the private descriptor and runs each with bash's own parse_and_execute. Whatever
   would end a shell (`exit`, errexit, an unset variable under `set -u`, SIGINT) is a longjmp to bash's
   `top_level`, which is set here: so it ends the program and not the process, and variables, functions,
   directory, options, traps and jobs stay. No shell word takes part, so nothing that user code defines
   can stand in the way. */

#include "call-stack.h"
#include "descriptors.h"
#include "environment.h"
#include "shell-symbols.h"
#include "traps.h"
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
static volatile int running; /* A program is running, and `top_level` is ours. */
static procenv_t program_end;
static WORD_LIST *program_arguments;

static int trapped(int signal) { return signal_is_trapped(signal) && !signal_is_ignored(signal); }

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

/* errexit inside a function forgets to leave it: the call stack, the function's $1, $2, ..., and its traps. */
static void leave_functions(void) {
  if (call_stack_reset(PROGRAM_NAME)) {
    remember_args(program_arguments, 1);
    call_traps_restore();
  }
  this_shell_function = NULL;
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

/* Runs the EXIT trap where the program has got to, as a shell does before it ends. Gives the exit status. */
static int leave_by_exit_trap(int status) {
  last_command_exit_value = status;
  volatile int code = setjmp_nosigs(program_end);
  running = 1;
  if (code == NOT_JUMPED)
    last_command_exit_value = run_exit_trap();
  running = 0;
  exit_trap_rearm();
  return last_command_exit_value;
}

/* Runs shell text, which is freed. Gives its exit status and says whether it jumped out by one of the
   codes of bashjmp.h. Its `exit` runs the EXIT trap if it `ends_by_exit_trap`. */
static int run_text(char *text, int ends_by_exit_trap, int *jump) {
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
    status = last_command_exit_value;
    /* The variables of the function that exits are still there. */
    if ((code == EXITBLTIN || code == ERREXIT) && ends_by_exit_trap && getpid() == owner && trapped(EXIT_TRAP))
      status = leave_by_exit_trap(status);
    tidy_up_after_jump();
  }
  running = 0;
  if (code == JUMPED_FROM_EXIT) {
    exit_trap_rearm();
    traps_restore_after_exec();
    interrupts_let_through();
  }
  /* As bash's own reader_loop: what was discarded has not succeeded. */
  if (code == DISCARD && status == EXECUTION_SUCCESS)
    status = EXECUTION_FAILURE;
  if (interrupt_state)
    status = EXIT_INTERRUPTED;
  *jump = code;
  return status & 0xff;
}

/* A program that traps SIGTERM has said how it wants to be ended. A time-out begins with SIGINT, which would
   otherwise end it without that. */
static int run_term_trap(int status) {
  int jump;
  last_command_exit_value = status;
  int trap_status = run_text(savestring(trap_list[SIGTERM]), 0, &jump);
  return jump == NOT_JUMPED || jump == DISCARD ? status : trap_status;
}

/* Whether the EXIT trap is still to run. It runs when the program that set it ends, as it would for a script, and
   when a later one ends by exiting. It stays set. */
static int exit_trap_is_due(int jump) {
  int has_run = jump == JUMPED_FROM_EXIT || jump == EXITBLTIN || jump == ERREXIT;
  return trapped(EXIT_TRAP) && !has_run && (jump != NOT_JUMPED || exit_trap_is_own());
}

/* Runs the program; gives its exit status. */
static int run_program(char *text) {
  int jump;
  program_arguments = list_rest_of_args();
  exit_trap_begin_program();
  call_traps_remember();
  interrupts_let_through();
  int status = run_text(text, 1, &jump);
  int interrupted = status == EXIT_INTERRUPTED && jump == EXITPROG;
  if (interrupted && trapped(SIGTERM))
    status = run_term_trap(status);
  if (exit_trap_is_due(jump)) {
    status = leave_by_exit_trap(status);
    tidy_up_after_jump();
  }
  descriptors_settle(!interrupted);
  interrupts_ignore();
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
  descriptors_restore();
  /* `set -n` would turn every later program into nothing. */
  read_but_dont_execute = 0;
  int status = run_program(text);
  /* Else it would end the next program. */
  if (terminating_signal)
    termsig_handler(terminating_signal);
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

/* A copy, which parse_and_execute frees. */
static char *program_text(const char *sent) {
  size_t length = strlen(sent);
  char *text = xmalloc(length + 2);
  memcpy(text, sent, length + 1);
  /* At the end of a file a backslash is as good as none, at the end of a string bash keeps it. */
  if (length > 0 && text[length - 1] == '\\')
    memcpy(text + length, "\n", 2);
  return text;
}

static void serve(void) {
  struct message message;
  while (wire_receive(&message, on_idle_signal)) {
    if (message.kind == 'C') {
      if (message.length < MARK_LENGTH)
        return;
      memcpy(mark, message.payload, MARK_LENGTH);
      serve_program(program_text(message.payload + MARK_LENGTH));
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

/* Not to be listed, nor unloaded by `enable -d`. The table ends with an entry of zeros. */
static void forget_this_builtin(void) {
  struct builtin *entry = builtin_address_internal("exec_sandbox_repl", 1);
  size_t behind = (size_t)(shell_builtins + num_shell_builtins - entry);
  memmove(entry, entry + 1, behind * sizeof *entry);
  num_shell_builtins--;
}

static void prepare(void) {
  /* The frames of the `bash -c` around this builtin. It never returns to them, and a jump to the top must
     not undo them: their memory and their jump targets are no longer ours. */
  clear_unwind_protect_list(0);
  parse_and_execute_level = 0;
  /* In `bash -c` (2) the last command replaces the shell instead of running in a child. */
  startup_state = 0;
  indirection_level = 0;
  want_pending_command = 0; /* The `c` in `$-`. */
  call_stack_reset(PROGRAM_NAME);
  descriptors_remember();
  traps_prepare();
  on_exit(on_process_exit, NULL);
  forget_this_builtin();
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
  run_text(savestring(":"), 0, &jump);
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
