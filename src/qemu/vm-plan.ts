import type { GroupParent, JailMaker } from '../host/index.ts'

export type Accelerator = 'kvm' | 'tcg'

/**
 * Where QEMU and what it loads stand, and thereby what becomes the root file system of its jail. `named`: the user named
 * it (EXEC_SANDBOX_QEMU).
 */
export type QemuProgram =
  /** A runtime tree: a root file system that holds QEMU, its libraries and firmware and nothing else. */
  | { readonly kind: 'tree'; readonly named: boolean; readonly root: string; readonly binary: string }
  /** A QEMU of the host, named by the user: the jail gets the host's program directories, read-only. */
  | { readonly kind: 'host'; readonly named: true; readonly binary: string; readonly directories: readonly string[] }

/** The CPU the guest sees, as QEMU's `-cpu` takes it. */
export interface CpuPlan {
  readonly model: string
  /** The vendor that CPUID names instead of the model's own. */
  readonly vendor?: string | undefined
  /** Features of the model that are turned off: those this QEMU cannot emulate, and nested virtualization. */
  readonly off: readonly string[]
}

/** How QEMU is confined. `user` and `maker` say whether root drops to a uid of the VM's own. */
export type JailPlan =
  | { readonly kind: 'off'; readonly user: JailMaker }
  | { readonly kind: 'bubblewrap'; readonly path: string; readonly maker: JailMaker }

/** What a QEMU process is started with, whatever it is to do. */
export interface ProcessPlan {
  readonly accelerator: Accelerator
  readonly program: QemuProgram
  readonly jail: JailPlan
  /** Where locks of running VMs stand (the uid of each jail). */
  readonly runtimeDir: string
  /** Every file of the host that QEMU may open besides its own program. */
  readonly files: readonly VmFile[]
  /** Where the VM gets a control group of its own; undefined where none can be made. */
  readonly groups?: GroupParent | undefined
}

/** A file of the host that the VM gets, under the name it has inside the jail. */
export interface VmFile {
  readonly host: string
  readonly jailed: string
  /** QEMU may write it: only while a template is being saved. It then belongs to the VM's own uid. @default false */
  readonly writable?: boolean
}

/** A read-only disk with installed packages. */
export interface LayerDisk {
  /** Host path. */
  readonly file: string
  /** SHA-256 of the file: VMs of the same digest may share a template. */
  readonly digest: string
}

/** Where the guest's memory lies. */
export type MemoryPlan =
  /** Nowhere but in the process. */
  | { readonly kind: 'anonymous' }
  /** In a file, because a template is to be saved of this VM: `ram` is mapped shared, `state` takes the device state. */
  | { readonly kind: 'shared'; readonly ram: string; readonly state: string }
  /** The VM is resumed from a template: `ram` is mapped privately, so pages are the template's until they are written. */
  | { readonly kind: 'template'; readonly ram: string; readonly state: string }

/** The frozen description of a VM from which everything else follows: QEMU's arguments, the jail, the kernel's command line. */
export interface VmPlan extends ProcessPlan {
  readonly cpu: CpuPlan
  readonly memoryMb: number
  readonly memory: MemoryPlan
  readonly cpus: number
  /** Host paths; each is one of `files`. */
  readonly kernel: string
  readonly initramfs: string
  /** The EROFS root file system; absent in the accelerator probe, which never leaves the initramfs. */
  readonly root: string | undefined
  readonly layer: LayerDisk | undefined
  readonly kernelCommandLine: readonly string[]
}

/** The directory of the VM's own files inside the jail. */
export const JAIL_DIRECTORY = '/run/vm'

/** The files of an image, a layer and a template under the names they get in the jail. */
export function vmFiles(plan: Pick<VmPlan, 'kernel' | 'initramfs' | 'root' | 'layer' | 'memory'>): readonly VmFile[] {
  const { kernel, initramfs, root, layer, memory } = plan
  const files: VmFile[] = [
    { host: kernel, jailed: `${JAIL_DIRECTORY}/kernel` },
    { host: initramfs, jailed: `${JAIL_DIRECTORY}/initramfs` },
  ]
  if (root !== undefined) files.push({ host: root, jailed: `${JAIL_DIRECTORY}/root` })
  if (layer !== undefined) files.push({ host: layer.file, jailed: `${JAIL_DIRECTORY}/layer` })
  if (memory.kind !== 'anonymous') {
    const writable = memory.kind === 'shared'
    files.push({ host: memory.ram, jailed: `${JAIL_DIRECTORY}/ram`, writable })
    files.push({ host: memory.state, jailed: `${JAIL_DIRECTORY}/state`, writable })
  }
  return files
}

/** The same VM with its memory elsewhere. Pure. */
export function withMemory(plan: VmPlan, memory: MemoryPlan): VmPlan {
  return Object.freeze({ ...plan, memory, files: vmFiles({ ...plan, memory }) })
}

/** The name under which QEMU opens one of the host's files. */
export function pathForQemu(plan: ProcessPlan, host: string): string {
  const index = plan.files.findIndex((file) => file.host === host)
  const file = plan.files[index]
  if (file === undefined) return host
  if (plan.jail.kind === 'bubblewrap') return file.jailed
  return plan.jail.user.kind === 'root' ? openedPath(index + 1) : host
}

/**
 * Without a jail, root's VM has a uid that may not enter the directories above a cache in root's home. What it opens is
 * therefore opened by the host process, and named by the descriptor it inherits: first the runtime tree, then the files.
 */
export function openedPaths(plan: ProcessPlan): readonly string[] {
  if (plan.jail.kind !== 'off' || plan.jail.user.kind !== 'root') return []
  const tree = plan.program.kind === 'tree' ? plan.program.root : '/'
  return [tree, ...plan.files.map((file) => file.host)]
}

/** The first descriptor of `openedPaths`; those before it are QEMU's connections. */
const FIRST_OPENED = 8

/** How a process names the descriptor of entry `index` of `openedPaths`. */
export function openedPath(index: number): string {
  return `/proc/self/fd/${FIRST_OPENED + index}`
}
