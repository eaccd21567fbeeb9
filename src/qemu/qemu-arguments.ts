import { pathForQemu, type VmPlan, withMemory } from './vm-plan.ts'

/** Properties of an option in the order they are written, named as QEMU names them. Undefined ones are left out. */
export type QemuProperties = Readonly<Record<string, string | number | boolean | undefined>>

/** One option of QEMU's command line: its name, a leading value (driver, type, model) and properties. */
export interface QemuArgument {
  readonly option: string
  readonly value?: string
  readonly properties?: QemuProperties
}

/**
 * Descriptors that QEMU inherits, connected to the host process. They have no names, so nobody else can connect. The last two are
 * bubblewrap's own and QEMU does not get them: on `jail` it tells the pid of its namespace's first process, from `filter` it
 * reads the seccomp filter.
 */
export const QEMU_DESCRIPTORS = { qmp: 3, console: 4, channel: 5, kvm: 6, jail: 7, filter: 8 } as const

/** Names the agent looks for (interfaces between the host and the guest). */
export const ROOT_SERIAL = 'root'
export const LAYER_SERIAL = 'layer'
export const CHANNEL_PORT = 'exec-sandbox'

/**
 * Megabytes of translated code that TCG keeps. Its own default is an eighth of the host's memory up to 1 GB, per VM.
 * Measured in docs/decisions/0005-boot-tuning.md.
 */
const TCG_CACHE_MB = 128

/** QEMU's number for the set that holds the descriptor of /dev/kvm. */
const KVM_FDSET = 1

/** QEMU's command line for a plan, without the program's own name. Pure. */
export function renderQemuArguments(plan: VmPlan): readonly string[] {
  return describeQemu(plan).flatMap(renderArgument)
}

/**
 * The command line of the VMs that a template of this plan serves, without anything that depends on where files stand on
 * this host: part of the template's key. Pure.
 */
export function templateArguments(plan: VmPlan): readonly string[] {
  const jail = { kind: 'bubblewrap', path: 'bwrap', maker: { kind: 'user' } } as const
  return renderQemuArguments(withMemory({ ...plan, jail }, { kind: 'template', ram: 'ram', state: 'state' }))
}

/** One argument as QEMU parses it: a comma within a value is doubled. */
export function renderArgument(argument: QemuArgument): readonly string[] {
  const { option, value, properties = {} } = argument
  const parts = Object.entries(properties)
    .filter(([, setting]) => setting !== undefined)
    .map(([name, setting]) => `${name}=${renderSetting(setting ?? '')}`)
  const text = [...(value === undefined ? [] : [value]), ...parts].join(',')
  return text === '' ? [`-${option}`] : [`-${option}`, text]
}

function renderSetting(setting: string | number | boolean): string {
  if (typeof setting === 'boolean') return setting ? 'on' : 'off'
  return String(setting).replaceAll(',', ',,')
}

function describeQemu(plan: VmPlan): readonly QemuArgument[] {
  return [
    ...describeMachine(plan),
    ...describeConfinement(),
    { option: 'kernel', value: pathForQemu(plan, plan.kernel) },
    { option: 'initrd', value: pathForQemu(plan, plan.initramfs) },
    { option: 'append', value: plan.kernelCommandLine.join(' ') },
    ...describeConsoles(),
    ...describeDisks(plan),
    ...describeStart(plan),
  ]
}

function describeMachine(plan: VmPlan): readonly QemuArgument[] {
  const tcg = plan.accelerator === 'tcg'
  return [
    {
      option: 'machine',
      value: 'microvm',
      properties: {
        acpi: false,
        pcie: false,
        usb: false,
        // Under KVM the guest takes time from kvm-clock and the TSC deadline timer; under TCG it has neither, and needs
        // the PIT to measure the TSC and the PIC to hear it.
        pic: tcg,
        pit: tcg,
        // Without an RTC the kernel waits a whole second for one that answers.
        rtc: tcg,
        'isa-serial': true,
        'auto-kernel-cmdline': true,
        'x-option-roms': false,
        'dump-guest-core': false,
        'memory-backend': 'ram',
      },
    },
    tcg
      ? {
          option: 'accel',
          value: 'tcg',
          properties: { thread: plan.cpus === 1 ? 'single' : 'multi', 'tb-size': TCG_CACHE_MB },
        }
      : { option: 'accel', value: 'kvm', properties: { device: `/dev/fdset/${KVM_FDSET}` } },
    {
      option: 'cpu',
      value: plan.cpu.model,
      properties: { vendor: plan.cpu.vendor, ...Object.fromEntries(plan.cpu.off.map((feature) => [feature, false])) },
    },
    // The host process opens /dev/kvm and hands it over: the jail needs no device, and its uid no group.
    ...(tcg ? [] : [{ option: 'add-fd', properties: { fd: QEMU_DESCRIPTORS.kvm, set: KVM_FDSET } }]),
    { option: 'smp', properties: { cpus: plan.cpus, maxcpus: plan.cpus } },
    { option: 'm', value: `${plan.memoryMb}M` },
    describeMemory(plan),
  ]
}

function describeMemory(plan: VmPlan): QemuArgument {
  const { memory, memoryMb } = plan
  const common = { id: 'ram', size: `${memoryMb}M` }
  if (memory.kind === 'anonymous') return { option: 'object', value: 'memory-backend-ram', properties: common }
  const file = { ...common, 'mem-path': pathForQemu(plan, memory.ram) }
  // `rom=off`: without it a file that is opened read-only makes memory that the guest cannot write.
  const sharing = memory.kind === 'shared' ? { share: true } : { share: false, readonly: true, rom: false }
  return { option: 'object', value: 'memory-backend-file', properties: { ...file, ...sharing } }
}

/** A VM of a template does not start by itself: its state is loaded over QMP, and then it goes on. */
function describeStart(plan: VmPlan): readonly QemuArgument[] {
  return plan.memory.kind === 'template' ? [{ option: 'S' }, { option: 'incoming', value: 'defer' }] : []
}

function describeConfinement(): readonly QemuArgument[] {
  return [
    { option: 'nodefaults' },
    { option: 'no-user-config' },
    // Without this QEMU adds a network card, and the guest waits for it.
    { option: 'nic', value: 'none' },
    { option: 'display', value: 'none' },
    { option: 'no-reboot' },
    {
      option: 'sandbox',
      value: 'on',
      properties: { obsolete: 'deny', elevateprivileges: 'deny', spawn: 'deny', resourcecontrol: 'deny' },
    },
    // Modern virtio only: the transports of microvm default to the legacy interface.
    { option: 'global', value: 'virtio-mmio.force-legacy=false' },
  ]
}

function socketOf(id: string, fd: number): QemuArgument {
  return { option: 'chardev', value: 'socket', properties: { id, fd } }
}

function describeConsoles(): readonly QemuArgument[] {
  return [
    socketOf('qmp', QEMU_DESCRIPTORS.qmp),
    { option: 'mon', properties: { chardev: 'qmp', mode: 'control' } },
    socketOf('console', QEMU_DESCRIPTORS.console),
    { option: 'serial', value: 'chardev:console' },
    socketOf('channel', QEMU_DESCRIPTORS.channel),
    // Port 0 is reserved for a console by the virtio specification; ours is the only other one.
    { option: 'device', value: 'virtio-serial-device', properties: { max_ports: 2 } },
    { option: 'device', value: 'virtserialport', properties: { chardev: 'channel', name: CHANNEL_PORT, nr: 1 } },
  ]
}

/** The guest finds each by its serial number, whatever their order. */
function describeDisks(plan: VmPlan): readonly QemuArgument[] {
  const { root, layer } = plan
  return [
    ...(root === undefined ? [] : describeDisk(plan, ROOT_SERIAL, root)),
    ...(layer === undefined ? [] : describeDisk(plan, LAYER_SERIAL, layer.file)),
  ]
}

function describeDisk(plan: VmPlan, serial: string, file: string): readonly QemuArgument[] {
  return [
    {
      option: 'blockdev',
      properties: {
        driver: 'raw',
        'node-name': serial,
        'read-only': true,
        'file.driver': 'file',
        'file.filename': pathForQemu(plan, file),
        'file.read-only': true,
        // The file is never written again once published, so there is nobody to lock against.
        'file.locking': false,
        // Through the host's page cache, which all VMs share; a pool thread does the reading.
        'file.aio': 'threads',
      },
    },
    {
      option: 'device',
      value: 'virtio-blk-device',
      properties: { drive: serial, serial, 'num-queues': plan.cpus },
    },
  ]
}
