// Descriptors, through the C library: Node's file system module has neither duplicates nor poll.

import { dlopen, ptr } from 'bun:ffi'
import { writeSync } from 'node:fs'

const { fcntl, close, dup2, poll } = dlopen('libc.so.6', {
  fcntl: { args: ['i32', 'i32', 'i32'], returns: 'i32' },
  close: { args: ['i32'], returns: 'i32' },
  dup2: { args: ['i32', 'i32'], returns: 'i32' },
  poll: { args: ['ptr', 'u64', 'i32'], returns: 'i32' },
}).symbols

const { Int32Array, Math } = globalThis

// fcntl.h and poll.h of Linux.
const F_GETFL = 3
const F_SETFL = 4
const F_DUPFD_CLOEXEC = 1030
const O_NONBLOCK = 0o4000
const POLLOUT = 4

/** Descriptors from here on are out of the way of user code, which gets the lowest free one. */
const PRIVATE_DESCRIPTOR_BASE = 900

/** Bytes of one write: the size of a pipe's buffer. */
const WRITE_SIZE = 65_536

/** A close-on-exec duplicate with a high number. */
export function duplicateOutOfReach(descriptor: number): number {
  return fcntl(descriptor, F_DUPFD_CLOEXEC, PRIVATE_DESCRIPTOR_BASE)
}

export function closeDescriptor(descriptor: number): void {
  close(descriptor)
}

/** Descriptors 0-2 as they were at the start, whatever a program did to them. */
export class StandardDescriptors {
  readonly #saved = [0, 1, 2].map(duplicateOutOfReach)

  restore(): void {
    // Without the methods of arrays, which a program may have replaced.
    for (let descriptor = 0; descriptor < 3; descriptor++) {
      dup2(this.#saved[descriptor] as number, descriptor)
      if (descriptor === 0) continue
      // The open file is shared with every process that has it, and so is O_NONBLOCK.
      const flags = fcntl(descriptor, F_GETFL, 0)
      if (flags & O_NONBLOCK) fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK)
    }
  }
}

/** Writes all of it, waiting for room where the descriptor does not block. */
export function writeAll(descriptor: number, bytes: Uint8Array): void {
  let offset = 0
  while (offset < bytes.length) {
    try {
      offset += writeSync(descriptor, bytes, offset, Math.min(WRITE_SIZE, bytes.length - offset))
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EAGAIN') waitForRoom(descriptor)
      else if (code !== 'EINTR') throw error
    }
  }
}

function waitForRoom(descriptor: number): void {
  const request = new Int32Array([descriptor, POLLOUT])
  poll(ptr(request), 1, -1)
}
