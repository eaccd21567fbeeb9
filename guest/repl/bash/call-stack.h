/* FUNCNAME, BASH_SOURCE and BASH_LINENO. */

#ifndef EXEC_SANDBOX_CALL_STACK_H
#define EXEC_SANDBOX_CALL_STACK_H

/* Puts the call stack to what a script finds at its top level. Says whether it was anything else. */
int call_stack_reset(const char *script);

#endif
