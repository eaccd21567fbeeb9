/* Descriptors 0-2, which `exec` redirections of a program change for that program only. */

#ifndef EXEC_SANDBOX_DESCRIPTORS_H
#define EXEC_SANDBOX_DESCRIPTORS_H

/* Once, before the first program: remembers what is there. */
void descriptors_remember(void);

void descriptors_restore(void);

/* At the end of a program, with its descriptors still in place: restores them. `patient`: waits until the process
   substitutions that it wrote to (`exec > >(tee log)`) have passed on what they hold. */
void descriptors_settle(int patient);

#endif
