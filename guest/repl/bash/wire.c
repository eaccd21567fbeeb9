#include "wire.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "shell-symbols.h"

/* Where docs/repl-protocol.md puts the private descriptor. */
#define AGENT_DESCRIPTOR 3

/* The protocol's limit towards the REPL: a program is at most 1 MiB of UTF-8. */
#define RECEIVE_LIMIT 2097152u

/* Descriptors from here on are out of the way of user code, which gets the lowest free one, and still
   below the usual limit of 1024. */
#define PRIVATE_DESCRIPTOR_BASE 900

/* sysexits.h EX_PROTOCOL: the agent went away in the middle of a run. */
#define EXIT_PROTOCOL 76

#define HEADER_LENGTH 5

static int wire = -1;

int duplicate_out_of_reach(int descriptor) {
  return fcntl(descriptor, F_DUPFD_CLOEXEC, PRIVATE_DESCRIPTOR_BASE);
}

int wire_open(void) {
  wire = duplicate_out_of_reach(AGENT_DESCRIPTOR);
  if (wire < 0)
    return 0;
  close(AGENT_DESCRIPTOR);
  return 1;
}

static int read_exactly(char *to, size_t wanted, void (*interrupted)(void)) {
  size_t have = 0;
  while (have < wanted) {
    ssize_t got = read(wire, to + have, wanted - have);
    if (got > 0)
      have += (size_t)got;
    else if (got < 0 && errno == EINTR)
      interrupted();
    else
      return 0;
  }
  return 1;
}

int wire_receive(struct message *message, void (*interrupted)(void)) {
  unsigned char header[HEADER_LENGTH];
  if (!read_exactly((char *)header, HEADER_LENGTH, interrupted))
    return 0;
  message->kind = (char)header[0];
  message->length = (uint32_t)header[1] | (uint32_t)header[2] << 8 | (uint32_t)header[3] << 16 | (uint32_t)header[4] << 24;
  if (message->length > RECEIVE_LIMIT)
    return 0;
  message->payload = xmalloc(message->length + 1);
  message->payload[message->length] = '\0';
  return read_exactly(message->payload, message->length, interrupted);
}

void wire_send(char kind, const char *payload, uint32_t length) {
  /* Everything this REPL says is short, so one write on a socket takes it whole or fails. */
  char frame[HEADER_LENGTH + 32];
  frame[0] = kind;
  frame[1] = (char)(length & 0xff);
  frame[2] = frame[3] = frame[4] = 0;
  if (length > 32)
    _exit(EXIT_PROTOCOL);
  memcpy(frame + HEADER_LENGTH, payload, length);
  ssize_t sent;
  do
    sent = write(wire, frame, HEADER_LENGTH + length);
  while (sent < 0 && errno == EINTR);
  if (sent != (ssize_t)(HEADER_LENGTH + length))
    _exit(EXIT_PROTOCOL);
}
