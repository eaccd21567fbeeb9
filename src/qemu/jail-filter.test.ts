import { describe, expect, it } from 'vitest'
import { renderJailFilter } from './jail-filter.ts'

const X86_64 = 0xc000_003e
const I386 = 0x4000_0003
const ALLOW = 'allow'
const ENOSYS = 'errno 38'

/** What the kernel would do: runs the program on a struct seccomp_data. Unknown instructions are an error. */
function judge(number: number, args: readonly number[] = [], architecture = X86_64): string {
  const program = renderJailFilter()
  const data = Buffer.alloc(64)
  data.writeUInt32LE(number, 0)
  data.writeUInt32LE(architecture, 4)
  for (const [index, value] of args.entries()) data.writeBigUInt64LE(BigInt(value), 16 + index * 8)
  let accumulator = 0
  for (let at = 0; at < program.length; at += 8) {
    const value = program.readUInt32LE(at + 4)
    switch (program.readUInt16LE(at)) {
      case 0x20:
        accumulator = data.readUInt32LE(value)
        break
      case 0x54:
        accumulator = (accumulator & value) >>> 0
        break
      case 0x15:
        at += 8 * program.readUInt8(at + (accumulator === value ? 2 : 3))
        break
      case 0x06:
        if (value === 0x7fff_0000) return ALLOW
        return value === 0x8000_0000 ? 'kill' : `errno ${value - 0x5_0000}`
      default:
        throw new Error(`unknown instruction at ${at}`)
    }
  }
  throw new Error('the program ends without an answer')
}

describe('the filter of the jail', () => {
  it.each([
    ['read', 0],
    ['mmap', 9],
    ['ppoll', 271],
    ['futex', 202],
    ['execve', 59],
    ['setresuid', 117],
  ])('lets %s through', (_, number) => {
    expect(judge(number)).toBe(ALLOW)
  })

  it.each([
    ['socket', 41],
    ['connect', 42],
    ['bind', 49],
    ['socketpair', 53],
    ['fork', 57],
    ['vfork', 58],
    ['clone3', 435],
    ['kill', 62],
    ['ptrace', 101],
    ['process_vm_readv', 310],
    ['pidfd_open', 434],
    ['flock', 73],
    ['chmod', 90],
    ['mount', 165],
    ['unshare', 272],
    ['setns', 308],
    ['keyctl', 250],
    ['bpf', 321],
    ['perf_event_open', 298],
    ['userfaultfd', 323],
    ['io_uring_setup', 425],
    ['io_setup', 206],
    ['memfd_create', 319],
    ['open_by_handle_at', 304],
    ['inotify_init1', 294],
    ['a call that no kernel has yet', 900],
    ['x32’s read', 0x4000_0000],
  ])('knows no %s', (_, number) => {
    expect(judge(number)).toBe(ENOSYS)
  })

  it('ends a process that makes calls of another architecture', () => {
    expect(judge(3, [], I386)).toBe('kill')
  })

  it('lets threads be made, and no process and no namespace', () => {
    // glibc's flags for a thread (pthread_create), and for a fork.
    expect(judge(56, [0x3d0f00])).toBe(ALLOW)
    expect(judge(56, [0x1200011])).toBe(ENOSYS)
    for (const namespace of [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000])
      expect(judge(56, [0x3d0f00 + namespace])).toBe(ENOSYS)
  })

  it('lets descriptors be copied and set, and takes no locks, leases or signals for them', () => {
    for (const command of [0, 1, 2, 3, 4, 1030]) expect(judge(72, [3, command])).toBe(ALLOW)
    // F_SETLK, F_SETOWN, F_OFD_SETLK, F_SETLEASE, F_NOTIFY, F_SETPIPE_SZ, F_ADD_SEALS.
    for (const command of [6, 8, 37, 1024, 1026, 1031, 1033]) expect(judge(72, [3, command])).toBe(ENOSYS)
  })

  it('asks KVM and no other device', () => {
    expect(judge(16, [6, 0xae80])).toBe(ALLOW)
    // KVM_SET_USER_MEMORY_REGION carries a size in its upper half.
    expect(judge(16, [6, 0x4020_ae46])).toBe(ALLOW)
    // TIOCSTI, TIOCLINUX, FS_IOC_SETFLAGS, LOOP_SET_FD.
    for (const request of [0x5412, 0x541c, 0x4008_6602, 0x4c00]) expect(judge(16, [0, request])).toBe(ENOSYS)
  })
})
