#include "traps.h"

#include "shell-symbols.h"

#include <signal.h>
#include <unistd.h>

static pid_t shell;
static sh_builtin_func_t *trap_of_bash;
static struct sigaction child_action;
static int has_own_exit_trap;

/* Traps that a function does not inherit: put aside when it is called. */
static const int call_traps[] = {DEBUG_TRAP, ERROR_TRAP, RETURN_TRAP};
#define CALL_TRAPS (sizeof call_traps / sizeof *call_traps)
static char *texts_outside_functions[CALL_TRAPS];

/* Under `set -m` what runs in the foreground has a process group of its own, which a terminal would signal and the
   agent does not know. Bash itself goes on as the end of that job tells it. */
static int pass_on_to_foreground_job(void) {
  int passed_on = 0;
  for (int i = 0; job_control && i < js.j_jobslots; i++) {
    if (jobs[i] && IS_FOREGROUND(i) && JOBSTATE(i) == JRUNNING && jobs[i]->pgrp != getpgrp())
      passed_on |= kill(-jobs[i]->pgrp, SIGINT) == 0;
  }
  return passed_on;
}

static void on_interrupt(int signal) {
  if (getpid() != shell || !pass_on_to_foreground_job())
    sigint_sighandler(signal);
}

static void forget_texts_outside_functions(void) {
  for (size_t i = 0; i < CALL_TRAPS; i++) {
    FREE(texts_outside_functions[i]);
    texts_outside_functions[i] = NULL;
  }
}

void call_traps_remember(void) {
  forget_texts_outside_functions();
  for (size_t i = 0; i < CALL_TRAPS; i++)
    if (signal_is_trapped(call_traps[i]))
      texts_outside_functions[i] = savestring(trap_list[call_traps[i]]);
}

void call_traps_restore(void) {
  for (size_t i = 0; i < CALL_TRAPS; i++)
    if (texts_outside_functions[i] && !signal_is_trapped(call_traps[i]))
      set_signal(call_traps[i], texts_outside_functions[i]);
}

static int trap_builtin_for_programs(WORD_LIST *list) {
  const char *exit_trap = trap_list[EXIT_TRAP];
  int status = trap_of_bash(list);
  if (getpid() != shell)
    return status;
  /* A text that replaces another is allocated before that one is freed, so it has an address of its own. */
  if (trap_list[EXIT_TRAP] != exit_trap)
    has_own_exit_trap = signal_is_trapped(EXIT_TRAP);
  if (variable_context == 0)
    call_traps_remember();
  /* `trap - INT` in a shell that is not interactive brings the handler that ends the process. */
  if (!signal_is_trapped(SIGINT))
    set_signal_handler(SIGINT, on_interrupt);
  return status;
}

void traps_prepare(void) {
  struct builtin *trap = builtin_address_internal("trap", 1);
  shell = getpid();
  trap_of_bash = trap->function;
  trap->function = trap_builtin_for_programs;
  sigaction(SIGCHLD, NULL, &child_action);
  /* Done once here, it does not happen later, when `trap ... EXIT` would also take SIGINT. */
  initialize_terminating_signals();
  interrupts_ignore();
}

/* As in an interactive shell, which comes back from SIGINT to its main loop. The handler that bash gives to
   scripts would end the process. */
void interrupts_let_through(void) {
  interrupt_state = 0;
  set_signal_handler(SIGINT, signal_is_trapped(SIGINT) ? trap_to_sighandler(SIGINT) : on_interrupt);
}

void interrupts_ignore(void) {
  set_signal_handler(SIGINT, SIG_IGN);
  interrupt_state = 0;
}

void traps_restore_after_exec(void) {
  initialize_signals(1);
  initialize_terminating_signals();
  sigaction(SIGCHLD, &child_action, NULL);
  restore_traps();
}

void exit_trap_begin_program(void) { has_own_exit_trap = 0; }

int exit_trap_is_own(void) { return has_own_exit_trap; }

void exit_trap_rearm(void) {
  char *text = trap_list[EXIT_TRAP];
  if (signal_is_trapped(EXIT_TRAP) || text == (char *)SIG_DFL || text == (char *)SIG_IGN || !*text)
    return;
  text = savestring(text);
  run_trap_cleanup(EXIT_TRAP);
  set_signal(EXIT_TRAP, text);
  xfree(text);
}
