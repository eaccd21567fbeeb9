#include "environment.h"

#include "shell-symbols.h"

#include <string.h>

/* A name that a call has an entry for, and what the session has under it: put aside as it is, with its type and
   attributes, and put back after the call. */
struct replaced {
  struct replaced *next;
  char *name;
  BUCKET_CONTENTS *variable; /* NULL: there was none. */
};

/* The latest first, so that a name which came twice ends as it was before the first. */
static struct replaced *replaced_entries;

static int is_readonly(const char *name) {
  BUCKET_CONTENTS *bucket = hash_search(name, global_variables->table, 0);
  return bucket && readonly_p((SHELL_VAR *)bucket->data);
}

static void changed(char *name) {
  array_needs_making = 1;
  stupidly_hack_special_variables(name); /* PATH, LANG, TZ, IFS and the like take effect. */
}

static void assign(char *name, const char *value) {
  SHELL_VAR *variable = bind_global_variable(name, (char *)value, 0);
  if (!variable)
    return;
  VSETATTR(variable, att_exported);
  VUNSETATTR(variable, att_invisible);
  changed(name);
}

/* The name of an entry that may be set, else NULL. */
static char *settable_name_of(const char *entry) {
  const char *equals = strchr(entry, '=');
  if (!equals)
    return NULL;
  size_t length = (size_t)(equals - entry);
  char *name = xmalloc(length + 1);
  memcpy(name, entry, length);
  name[length] = '\0';
  if (!is_readonly(name))
    return name;
  xfree(name);
  return NULL;
}

void environment_set(const char *entry) {
  char *name = settable_name_of(entry);
  if (!name)
    return;
  assign(name, entry + strlen(name) + 1);
  xfree(name);
}

void environment_set_for_call(const char *entry) {
  char *name = settable_name_of(entry);
  if (!name)
    return;
  struct replaced *old = xmalloc(sizeof *old);
  old->name = name;
  old->variable = hash_remove(name, global_variables->table, 0);
  old->next = replaced_entries;
  replaced_entries = old;
  assign(name, entry + strlen(name) + 1);
}

static void put_back(struct replaced *old) {
  unbind_variable_noref(old->name);
  if (old->variable) {
    hash_insert(old->variable->key, global_variables->table, 0)->data = old->variable->data;
    xfree(old->variable);
  }
  changed(old->name);
  xfree(old->name);
  xfree(old);
}

void environment_end_call(void) {
  while (replaced_entries) {
    struct replaced *old = replaced_entries;
    replaced_entries = old->next;
    put_back(old);
  }
}
