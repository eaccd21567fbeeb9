/* The private descriptor: messages between the agent and this REPL (docs/repl-protocol.md). */

#ifndef EXEC_SANDBOX_WIRE_H
#define EXEC_SANDBOX_WIRE_H

#include <stdint.h>

struct message {
  char kind;
  uint32_t length;
  char *payload; /* NUL-terminated, from bash's allocator; the receiver frees it with xfree. */
};

/* Takes descriptor 3 over: moved out of reach of user code and closed on exec. */
int wire_open(void);

/* A close-on-exec duplicate with a high number, -1 if there is none. */
int duplicate_out_of_reach(int descriptor);

/* Waits for a message. `interrupted` is called when a signal cut the wait short; it may end the process.
   Gives 0 once the agent has closed its side or broken the format. */
int wire_receive(struct message *message, void (*interrupted)(void));

/* Sends a message whole; a lost agent ends the process. */
void wire_send(char kind, const char *payload, uint32_t length);

#endif
