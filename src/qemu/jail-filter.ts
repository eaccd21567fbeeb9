/**
 * The jail's seccomp filter: a list of what a QEMU of ours may ask of the host's kernel. It stands before QEMU's own (`-sandbox`), which
 * leaves most of the kernel open and which a QEMU only has after it has started. What is not here is answered with ENOSYS.
 *
 * The list was made by tracing boots, saves and restores of VMs of every kind, and by reading for what was not met (KVM,
 * aborts, fallbacks of the C library): docs/decisions/0020-jail-filter.md. Numbers are those of arch/x86/entry/syscalls/syscall_64.tbl.
 */
const FREE: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  memory: { mmap: 9, mprotect: 10, munmap: 11, brk: 12, mremap: 25, madvise: 28 },
  // The jail shows few files and lets none be written, but for the two of a template that is being saved.
  files: {
    ...{ open: 2, openat: 257, close: 3, read: 0, write: 1, readv: 19, writev: 20, pread64: 17, pwrite64: 18 },
    ...{ preadv: 295, pwritev: 296, lseek: 8, access: 21, faccessat: 269, faccessat2: 439, readlink: 89 },
    ...{ stat: 4, fstat: 5, lstat: 6, newfstatat: 262, statx: 332, statfs: 137, fstatfs: 138, fadvise64: 221 },
    ...{ ftruncate: 77, fallocate: 285, fsync: 74, fdatasync: 75, getcwd: 79, dup: 32, dup3: 292, pipe2: 293 },
  },
  // Its three sockets are connected; it makes none, and there is nothing that it could bind or connect.
  sockets: {
    ...{ sendmsg: 46, recvmsg: 47, sendto: 44, recvfrom: 45, shutdown: 48, getsockname: 51, getpeername: 52 },
    ...{ setsockopt: 54, getsockopt: 55 },
  },
  waiting: {
    ...{ poll: 7, ppoll: 271, epoll_create1: 291, epoll_ctl: 233, epoll_wait: 232, epoll_pwait: 281, eventfd2: 290 },
    ...{ signalfd4: 289, futex: 202, nanosleep: 35, clock_nanosleep: 230, sched_yield: 24, restart_syscall: 219 },
  },
  clocks: { clock_gettime: 228, clock_getres: 229, gettimeofday: 96, time: 201 },
  signals: {
    ...{ rt_sigaction: 13, rt_sigprocmask: 14, rt_sigreturn: 15, rt_sigtimedwait: 128, rt_sigsuspend: 130 },
    ...{ sigaltstack: 131, tgkill: 234 },
  },
  threads: {
    ...{ arch_prctl: 158, set_tid_address: 218, set_robust_list: 273, rseq: 334, membarrier: 324, exit: 60 },
    ...{ exit_group: 231, gettid: 186, sched_getaffinity: 204 },
  },
  itself: {
    ...{ getpid: 39, getppid: 110, getuid: 102, geteuid: 107, getgid: 104, getegid: 108, uname: 63, sysinfo: 99 },
    ...{ getrusage: 98, getrandom: 318, prctl: 157, seccomp: 317, umask: 95 },
  },
  // What prlimit and setpriv do before QEMU, and bubblewrap's first process beside it. Each takes away only.
  becoming: {
    ...{ execve: 59, wait4: 61, prlimit64: 302, capget: 125, capset: 126, setresuid: 117, getresuid: 118 },
    ...{ setresgid: 119, getresgid: 120, setgroups: 116, setuid: 105, setgid: 106 },
  },
}

/** Calls of which only some are allowed, by one argument. */
interface Limited {
  readonly number: number
  /** Which argument, from 0; only its lower half counts for the kernel, too. */
  readonly argument: number
  readonly rule: { readonly mask: number; readonly values: readonly number[] }
}

const CLONE_THREAD = 0x1_0000
/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET (clone(2)). */
const CLONE_NAMESPACES = 0x7e02_0000
/** F_DUPFD, GETFD, SETFD, GETFL, SETFL and DUPFD_CLOEXEC (fcntl(2)): no locks, no leases, no signals. */
const FCNTL_COMMANDS = [0, 1, 2, 3, 4, 1030]
/** The second byte of the request says whose it is; this is KVM's (Documentation/userspace-api/ioctl/ioctl-number.rst). */
const IOCTL_OWNER = 0xff00
const KVM_REQUESTS = 0xae00

const LIMITED: readonly Limited[] = [
  // Threads of QEMU and nothing else. clone3, whose argument no filter can read, is ENOSYS, and the C library uses clone.
  { number: 56, argument: 0, rule: { mask: (CLONE_THREAD | CLONE_NAMESPACES) >>> 0, values: [CLONE_THREAD] } },
  { number: 72, argument: 1, rule: { mask: 0xffff_ffff, values: FCNTL_COMMANDS } },
  { number: 16, argument: 1, rule: { mask: IOCTL_OWNER, values: [KVM_REQUESTS] } },
]

/** Fields of struct seccomp_data (linux/seccomp.h). */
const NUMBER = 0
const ARCHITECTURE = 4
const ARGUMENTS = 16
const ARGUMENT_SIZE = 8
const AUDIT_ARCH_X86_64 = 0xc000_003e

/** Operations of classic BPF (linux/bpf_common.h): load a word, and with a constant, jump if equal, return. */
const LOAD = 0x20
const AND = 0x54
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06

const ALLOW = 0x7fff_0000
const KILL_PROCESS = 0x8000_0000
/** SECCOMP_RET_ERRNO with ENOSYS. */
const NO_SUCH_CALL = 0x0005_0000 | 38

interface Instruction {
  readonly code: number
  /** Instructions to skip when a comparison holds, and when it does not. */
  readonly whenTrue?: number
  readonly whenFalse?: number
  readonly value: number
}

/** The filter as the kernel and `bwrap --seccomp` take it: an array of struct sock_filter (linux/filter.h). */
export function renderJailFilter(): Buffer {
  const program: readonly Instruction[] = [
    { code: LOAD, value: ARCHITECTURE },
    { code: JUMP_IF_EQUAL, value: AUDIT_ARCH_X86_64, whenTrue: 1 },
    // A 32-bit call has other numbers. Nothing of ours makes one. Those of x32 are other numbers than all below.
    { code: RETURN, value: KILL_PROCESS },
    { code: LOAD, value: NUMBER },
    ...LIMITED.flatMap(renderLimited),
    ...Object.values(FREE).flatMap((group) => Object.values(group).flatMap(allowNumber)),
    { code: RETURN, value: NO_SUCH_CALL },
  ]
  return Buffer.concat(program.map(renderInstruction))
}

function allowNumber(number: number): readonly Instruction[] {
  return [
    { code: JUMP_IF_EQUAL, value: number, whenFalse: 1 },
    { code: RETURN, value: ALLOW },
  ]
}

function renderLimited({ number, argument, rule }: Limited): readonly Instruction[] {
  const decision: readonly Instruction[] = [
    { code: LOAD, value: ARGUMENTS + argument * ARGUMENT_SIZE },
    { code: AND, value: rule.mask },
    ...rule.values.flatMap(allowNumber),
    { code: RETURN, value: NO_SUCH_CALL },
  ]
  return [{ code: JUMP_IF_EQUAL, value: number, whenFalse: decision.length }, ...decision]
}

function renderInstruction({ code, whenTrue = 0, whenFalse = 0, value }: Instruction): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUInt16LE(code, 0)
  bytes.writeUInt8(whenTrue, 2)
  bytes.writeUInt8(whenFalse, 3)
  bytes.writeUInt32LE(value, 4)
  return bytes
}
