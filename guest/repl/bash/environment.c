#include "environment.h"

#include "shell-symbols.h"

#include <string.h>

struct replaced {
  struct replaced *next;
  char *name;
  char *value; /* NULL: the variable did not exist. */
  int exported;
};

/* The latest first, so that a name which came twice ends as it was before the first. */
static struct replaced *replaced_entries;

static void assign(const char *name, const char *value) {
  SHELL_VAR *variable = find_global_variable(name);
  if (variable && readonly_p(variable))
    return;
  variable = bind_global_variable(name, (char *)value, 0);
  if (!variable)
    return;
  VSETATTR(variable, att_exported);
  VUNSETATTR(variable, att_invisible);
  array_needs_making = 1;
  stupidly_hack_special_variables((char *)name); /* PATH, LANG, TZ, IFS and the like take effect. */
}

static char *name_of(const char *entry) {
  const char *equals = strchr(entry, '=');
  if (!equals)
    return NULL;
  size_t length = (size_t)(equals - entry);
  char *name = xmalloc(length + 1);
  memcpy(name, entry, length);
  name[length] = '\0';
  return name;
}

void environment_set(const char *entry) {
  char *name = name_of(entry);
  if (!name)
    return;
  assign(name, entry + strlen(name) + 1);
  xfree(name);
}

void environment_set_for_call(const char *entry) {
  char *name = name_of(entry);
  if (!name)
    return;
  struct replaced *old = xmalloc(sizeof *old);
  SHELL_VAR *variable = find_global_variable(name);
  char *value = variable && var_isset(variable) && !array_p(variable) && !assoc_p(variable) ? value_cell(variable) : NULL;
  old->name = name;
  old->value = value ? savestring(value) : NULL;
  old->exported = variable && exported_p(variable);
  old->next = replaced_entries;
  replaced_entries = old;
  assign(name, entry + strlen(name) + 1);
}

void environment_end_call(void) {
  while (replaced_entries) {
    struct replaced *old = replaced_entries;
    replaced_entries = old->next;
    SHELL_VAR *variable = find_global_variable(old->name);
    if (old->value) {
      assign(old->name, old->value);
      variable = find_global_variable(old->name);
      if (variable && !old->exported)
        VUNSETATTR(variable, att_exported);
      xfree(old->value);
    } else if (variable && !readonly_p(variable)) {
      unbind_variable(old->name);
      stupidly_hack_special_variables(old->name);
    }
    array_needs_making = 1;
    xfree(old->name);
    xfree(old);
  }
}
