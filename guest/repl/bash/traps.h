/* SIGINT, which ends a program and not the shell, and the traps that outlive a program. */

#ifndef EXEC_SANDBOX_TRAPS_H
#define EXEC_SANDBOX_TRAPS_H

/* Once, before the first program. */
void traps_prepare(void);

/* SIGINT while a program runs. */
void interrupts_let_through(void);

/* SIGINT between programs. A trap for it stays set. */
void interrupts_ignore(void);

/* Gives the shell back the handlers and traps that `exec` had given up when it failed. */
void traps_restore_after_exec(void);

/* What the traps for DEBUG, ERR and RETURN are outside of functions, which put them aside. */
void call_traps_remember(void);

/* Puts them back after functions that were left without returning. */
void call_traps_restore(void);

/* A program begins: an EXIT trap that is there is not its own. */
void exit_trap_begin_program(void);

/* Whether the running program has set the EXIT trap. */
int exit_trap_is_own(void);

/* The EXIT trap has run as before an exit, which left it spent. */
void exit_trap_rearm(void);

#endif
