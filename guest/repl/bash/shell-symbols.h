/* What the builtin uses of bash. Its own headers have no guard against a second inclusion. */

#ifndef EXEC_SANDBOX_SHELL_SYMBOLS_H
#define EXEC_SANDBOX_SHELL_SYMBOLS_H

#include <signal.h>
#include <sys/types.h>

#include <config.h>
#include <builtins.h>
#include <shell.h>
#include <bashjmp.h>
#include <builtins/common.h>
#include <execute_cmd.h>
#include <jobs.h>
#include <sig.h>
#include <unwind_prot.h>

/* Exported by the shell for loadable builtins, but in no header of the package. From trap.h, flags.h,
   builtins.h, shell.c, jobs.c and variables.h of bash 5.2. */
#define EXIT_TRAP 0
#define DEBUG_TRAP NSIG
#define ERROR_TRAP (NSIG + 1)
#define RETURN_TRAP (NSIG + 2)
extern char *trap_list[];
extern int running_trap;
extern void run_trap_cleanup(int);
extern int run_exit_trap(void);
extern void set_signal(int, char *);
extern int signal_is_trapped(int);
extern SigHandler *trap_to_sighandler(int);
extern int signal_is_ignored(int);
extern int read_but_dont_execute;
extern void remember_args(WORD_LIST *, int);
extern void sbrand(unsigned long);
extern struct builtin *builtin_address_internal(char *, int);
extern void restore_traps(void);
extern int unbind_variable_noref(const char *);
extern VAR_CONTEXT *global_variables;
extern int want_pending_command;
extern struct procchain procsubs;

#endif
