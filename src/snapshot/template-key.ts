import { createHash } from 'node:crypto'

/** Raised when the layout of a template or of its manifest changes: other formats are foreign. */
export const LAYOUT_FORMAT = 1

/** Everything that shapes a template. Two VMs of equal specs may be resumed from the same one; others never. */
export interface TemplateSpec {
  /** Raised when what a template holds changes its meaning without any of its parts changing. */
  readonly format: number
  /** Stands for the content of kernel, initramfs (agent and REPLs), root file system and runtime tree. */
  readonly imageId: string
  /** Digest of the disk with installed packages. */
  readonly layer?: string | undefined
  /** Stands for the QEMU binary. */
  readonly program: string
  /** What the guest has seen of the host: under KVM its processor and kernel, under TCG the rate of its clock. */
  readonly host: string | undefined
  readonly accelerator: 'kvm' | 'tcg'
  /** QEMU's arguments with the host's paths taken out. */
  readonly argv: readonly string[]
  readonly language: string
  /** The program that the REPL was warmed with. */
  readonly warmUp: string
  readonly memoryMb: number
  readonly cpus: number
}

/** Hex digits of a key: 80 bits, which no two specs of one machine will share by chance. */
const KEY_DIGITS = 20

/** The template's key: a digest over every field of its spec. Pure. */
export function templateKey(spec: TemplateSpec): string {
  // A list in a fixed order: JSON marks where each value ends, so no two specs give the same text.
  const fields = [
    LAYOUT_FORMAT,
    spec.format,
    spec.imageId,
    spec.layer ?? null,
    spec.program,
    spec.host ?? null,
    spec.accelerator,
    spec.argv,
    spec.language,
    spec.warmUp,
    spec.memoryMb,
    spec.cpus,
  ]
  return createHash('sha256').update(JSON.stringify(fields)).digest('hex').slice(0, KEY_DIGITS)
}
