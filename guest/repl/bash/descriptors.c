#include "descriptors.h"

#include "shell-symbols.h"
#include "wire.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

/* A process substitution that has not ended by then waits for something else than the program's end. */
#define SETTLING_MILLISECONDS 1000

static int saved_descriptors[3];

void descriptors_remember(void) {
  for (int descriptor = 0; descriptor <= 2; descriptor++)
    saved_descriptors[descriptor] = duplicate_out_of_reach(descriptor);
}

void descriptors_restore(void) {
  for (int descriptor = 0; descriptor <= 2; descriptor++)
    dup2(saved_descriptors[descriptor], descriptor);
  for (int descriptor = 1; descriptor <= 2; descriptor++) {
    /* The open file is shared with every process that has it, and so is O_NONBLOCK. */
    int flags = fcntl(descriptor, F_GETFL);
    if (flags >= 0 && (flags & O_NONBLOCK))
      fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK);
  }
  clearerr(stdout);
  clearerr(stderr);
}

static int substitutions_running(void) {
  for (PROCESS *process = procsubs.head; process; process = process->next) {
    if (PRUNNING(process))
      return 1;
    if (process == procsubs.end)
      break;
  }
  return 0;
}

static long milliseconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000L + now.tv_nsec / 1000000L;
}

static void wait_for_substitutions(void) {
  sigset_t child, before;
  long end = milliseconds_now() + SETTLING_MILLISECONDS;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  /* SIGCHLD, in whose handler bash takes note of the end of a child, comes while pselect waits and not before. */
  sigprocmask(SIG_BLOCK, &child, &before);
  for (long left = SETTLING_MILLISECONDS; left > 0 && !interrupt_state && substitutions_running();
       left = end - milliseconds_now()) {
    struct timespec patience = {left / 1000, left % 1000 * 1000000};
    pselect(0, NULL, NULL, NULL, &patience, &before);
  }
  sigprocmask(SIG_SETMASK, &before, NULL);
}

void descriptors_settle(int patient) {
  fflush(stdout);
  fflush(stderr);
  descriptors_restore();
  if (patient && substitutions_running())
    wait_for_substitutions();
  /* Those that are left are no concern of later programs. */
  procsub_clear();
  last_procsub_child = NULL;
}
