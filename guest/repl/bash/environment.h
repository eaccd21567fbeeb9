/* Environment entries, as exported shell variables: those of one call, and those of the sandbox. */

#ifndef EXEC_SANDBOX_ENVIRONMENT_H
#define EXEC_SANDBOX_ENVIRONMENT_H

#include <stddef.h>

/* Sets `NAME=VALUE` and exports it. A name that user code has made readonly keeps its value. */
void environment_set(const char *entry);

/* The same, remembering what stood there. */
void environment_set_for_call(const char *entry);

/* Puts back everything that `environment_set_for_call` replaced. */
void environment_end_call(void);

#endif
