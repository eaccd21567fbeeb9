#include "call-stack.h"

#include "shell-symbols.h"

#include <string.h>

static int reset(const char *name, const char *bottom) {
  SHELL_VAR *variable = find_global_variable(name);
  if (!variable || !array_p(variable))
    return 0;
  ARRAY *stack = array_cell(variable);
  const char *found = array_num_elements(stack) == 1 ? array_reference(stack, 0) : NULL;
  if (found && strcmp(found, bottom) == 0)
    return 0;
  array_flush(stack);
  array_insert(stack, 0, (char *)bottom);
  return 1;
}

int call_stack_reset(const char *script) {
  /* As open_shell_script of shell.c does. Without it messages from inside of functions begin with "environment", and
     `[[ ${BASH_SOURCE[0]} == "$0" ]]`, by which scripts find out that they are run and not sourced, is false. */
  int changed = reset("FUNCNAME", "main");
  SHELL_VAR *function_names = find_global_variable("FUNCNAME");
  if (changed && function_names)
    VSETATTR(function_names, att_invisible);
  changed |= reset("BASH_SOURCE", script);
  changed |= reset("BASH_LINENO", "0");
  return changed;
}
