import type { Mutation } from './mutation.ts'

const IN_GROUP = { file: 'test/vm/limits.test.ts', name: 'B03: are written into a control group' }
const GROUP = 'src/host/vm-group.ts'

/** What a VM may take of its host. */
export const limitMutations: readonly Mutation[] = [
  {
    rows: ['B03'],
    removes: 'the bound on memory of a VM’s control group',
    file: GROUP,
    from: "    ['memory', 'memory.max', String(Math.floor(limits.memoryBytes))],\n",
    to: "    ['memory', 'memory.max', 'max'],\n",
    rebuild: 'none',
    test: IN_GROUP,
  },
  {
    rows: ['B03'],
    removes: 'that a VM that runs out of its host’s memory ends as a whole',
    file: GROUP,
    from: "    ['memory', 'memory.oom.group', '1'],\n",
    to: '',
    rebuild: 'none',
    test: IN_GROUP,
  },
  {
    rows: ['B03'],
    removes: 'the bound on tasks of a VM’s control group',
    file: GROUP,
    from: "    ['pids', 'pids.max', String(limits.tasks)],\n",
    to: '',
    rebuild: 'none',
    test: IN_GROUP,
  },
  {
    rows: ['B03'],
    removes: 'the bound on processors of a VM’s control group',
    file: 'src/qemu/vm-limits.ts',
    from: 'cpus: cpus + OVERHEAD_CPUS,',
    to: 'cpus: 1_000,',
    rebuild: 'none',
    test: IN_GROUP,
  },
  {
    rows: ['B03'],
    removes: 'that a VM enters its control group',
    file: 'src/qemu/qemu-command.ts',
    from: 'group === undefined ? command : enter(group, command)',
    to: 'group === undefined || enter(group, command) ? command : command',
    rebuild: 'none',
    test: { file: 'test/vm/limits.test.ts', name: 'B03, B07: hold all processes of a VM in a real group' },
  },
  {
    rows: ['B03'],
    removes: 'the limit on private memory where there is no control group',
    file: 'src/qemu/jail-arguments.ts',
    from: '    `--data=${jail.dataBytes}`,\n',
    to: '',
    rebuild: 'none',
    test: { file: 'test/vm/limits.test.ts', name: 'B03: are rlimits on every host' },
  },
  {
    rows: ['B03'],
    removes: 'what was taken of the host from the result',
    file: 'src/sandbox/program-call.ts',
    from: 'host: hostUsage(before, vm.hostUsage()),',
    to: 'host: hostUsage(before, before),',
    rebuild: 'none',
    test: { file: 'test/vm/limits.test.ts', name: 'B03: what was taken of the host stands in the result' },
  },
  {
    rows: ['B03', 'B07'],
    removes: 'that a control group vanishes with its VM',
    file: GROUP,
    from: '        rmdirSync(this.directory)\n',
    to: '',
    rebuild: 'none',
    test: { file: 'test/vm/limits.test.ts', name: 'B03, B07: hold all processes of a VM in a real group' },
  },
]
