import type { Mutation } from './mutation.ts'

const TAKEN_OVER = 'test/vm/taken-over-qemu.test.ts'
const REACHES_NOTHING = { file: TAKEN_OVER, name: 'B01: reaches nothing and gets nothing of the host' }
const HELD_BY_WALLS = { file: TAKEN_OVER, name: 'B01: is held by its namespaces, mounts and uid alone' }
const NO_PRIVILEGE = { file: 'test/vm/jail.test.ts', name: 'leaves QEMU no privilege, no view and nothing to write' }

/** A word of bubblewrap's arguments that is left out. */
function without(word: string, removes: string, test: Mutation['test']): Mutation {
  const from = `    '${word}',\n`
  return { rows: ['B01'], removes, file: 'src/qemu/jail-arguments.ts', from, to: '', rebuild: 'none', test }
}

/** What stands around QEMU. */
export const jailMutations: readonly Mutation[] = [
  without('--unshare-net', 'QEMU’s own network namespace', HELD_BY_WALLS),
  without('--unshare-pid', 'QEMU’s own pid namespace', NO_PRIVILEGE),
  without('--unshare-ipc', 'QEMU’s own ipc namespace', NO_PRIVILEGE),
  without('--unshare-uts', 'QEMU’s own host name', NO_PRIVILEGE),
  without('--unshare-cgroup-try', 'QEMU’s own cgroup namespace', NO_PRIVILEGE),
  {
    rows: ['B01'],
    removes: 'the seccomp filter of the jail',
    file: 'src/qemu/jail-filter.ts',
    from: 'const NO_SUCH_CALL = 0x0005_0000 | 38',
    to: 'const NO_SUCH_CALL = ALLOW',
    rebuild: 'none',
    test: REACHES_NOTHING,
  },
  {
    rows: ['B01'],
    removes: 'that only threads are made',
    file: 'src/qemu/jail-filter.ts',
    from: 'values: [CLONE_THREAD] } },',
    to: 'values: [CLONE_THREAD, 0] } },',
    rebuild: 'none',
    test: REACHES_NOTHING,
  },
  {
    rows: ['B01'],
    removes: 'that the files of a VM are read-only',
    file: 'src/qemu/jail-arguments.ts',
    from: "writable === true ? '--bind' : '--ro-bind'",
    to: "writable === true ? '--bind' : '--bind'",
    rebuild: 'none',
    test: NO_PRIVILEGE,
  },
  {
    rows: ['B01'],
    removes: 'that QEMU’s own files are read-only',
    file: 'src/qemu/jail-arguments.ts',
    from: "return ['--ro-bind', program.root, '/']",
    to: "return ['--bind', program.root, '/']",
    rebuild: 'none',
    test: NO_PRIVILEGE,
  },
  {
    rows: ['B01'],
    removes: 'that the filter lets no leases be taken',
    file: 'src/qemu/jail-filter.ts',
    from: 'const FCNTL_COMMANDS = [0, 1, 2, 3, 4, 1030]',
    to: 'const FCNTL_COMMANDS = [0, 1, 2, 3, 4, 1024, 1030]',
    rebuild: 'none',
    test: { file: 'src/qemu/jail-filter.test.ts', name: 'lets descriptors be copied and set' },
  },
  {
    rows: ['B01'],
    removes: 'that the filter ends whoever makes calls of another architecture',
    file: 'src/qemu/jail-filter.ts',
    from: '{ code: RETURN, value: KILL_PROCESS }',
    to: '{ code: RETURN, value: KILL_PROCESS - KILL_PROCESS + ALLOW }',
    rebuild: 'none',
    test: { file: 'src/qemu/jail-filter.test.ts', name: 'ends a process that makes calls of another architecture' },
  },
  {
    rows: ['B01'],
    removes: 'that the directory of a VM’s files is read-only',
    file: 'src/qemu/jail-arguments.ts',
    from: "    '--remount-ro',\n    '/run',\n",
    to: '',
    rebuild: 'none',
    test: NO_PRIVILEGE,
  },
  {
    rows: ['B01'],
    removes: 'the end of root’s capabilities in the jail',
    file: 'src/qemu/jail-arguments.ts',
    from: "  '--bounding-set=-all',\n  '--inh-caps=-all',\n",
    to: '',
    rebuild: 'none',
    test: NO_PRIVILEGE,
  },
  {
    rows: ['B01'],
    removes: 'that nothing the host process was started with reaches QEMU',
    file: 'src/qemu/qemu-child.ts',
    from: 'INHERITED.includes(index + first) ? nothing : ',
    to: 'INHERITED.includes(index + first) ? (nothing < 0 ? nothing : index + first) : ',
    rebuild: 'typescript',
    test: { file: 'test/vm/jail.test.ts', name: 'passes on no descriptor that this process was started with' },
  },
  {
    rows: ['B02'],
    removes: 'that each VM of root has a uid of its own',
    file: 'src/qemu/jail-uid.ts',
    from: 'return { uid: range.first + index,',
    to: 'return { uid: range.first,',
    rebuild: 'none',
    test: { file: 'test/vm/jail.test.ts', name: 'gives each VM of root a uid of its own, without groups' },
  },
  {
    rows: ['B04'],
    removes: 'that a VM’s connections have no name: the console is to listen on an abstract socket',
    file: 'src/qemu/qemu-arguments.ts',
    from: "    socketOf('console', QEMU_DESCRIPTORS.console),\n",
    to: "    { option: 'chardev', value: 'socket', properties: { id: 'console', path: 'vm', abstract: true, server: true, wait: false } },\n",
    rebuild: 'none',
    test: { file: 'test/vm/jail.test.ts', name: 'B04: nobody can connect to a VM: none of its sockets has a name' },
  },
]
