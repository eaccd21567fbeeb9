import type { Accelerator } from './vm-plan.ts'

export interface CommandLineOptions {
  readonly accelerator: Accelerator
  /** Kernel messages and the agent's debug log on the console. */
  readonly verbose: boolean
  /** Serial of the drive that holds the root file system; undefined in the accelerator probe. */
  readonly rootSerial: string | undefined
  /** Serial of the drive with installed packages, if there is one. */
  readonly layerSerial?: string | undefined
}

/**
 * The guest kernel's command line. Pure. What each word saves was measured: docs/decisions/0005-boot-tuning.md.
 * Never here: `nokaslr` and `mitigations=` (requirement A02).
 */
export function kernelCommandLine(options: CommandLineOptions): readonly string[] {
  const { accelerator, verbose, rootSerial, layerSerial } = options
  return [
    // The UART is the boot log. Each byte costs an exit to QEMU: silence is speed.
    'console=ttyS0',
    ...(verbose ? [] : ['quiet']),
    // A panic resets at once by a triple fault, the one way that needs no device; with -no-reboot QEMU then exits.
    'panic=-1',
    'reboot=t',
    // QEMU's TSC never stops or drifts, which the kernel cannot know; without this word clocks step by 4 ms jiffies.
    'tsc=reliable',
    ...(accelerator === 'tcg' ? TCG_WORDS : KVM_WORDS),
    ...(rootSerial === undefined ? ['exec_sandbox.probe'] : [`exec_sandbox.root=serial:${rootSerial}`]),
    ...(layerSerial === undefined ? [] : [`exec_sandbox.layer=serial:${layerSerial}`]),
    ...(verbose ? ['exec_sandbox.log=debug'] : []),
  ]
}

const TCG_WORDS: readonly string[] = [
  // The check waits for ten timer ticks to see whether the PIT interrupts; under QEMU it does.
  'no_timer_check',
  // With one processor the kernel would patch every LOCK prefix out of its text. TCG gains nothing from that
  // and has to translate each patched page again.
  'noreplace-smp',
  // QEMU's local APIC counts nanoseconds. Told so, our kernel need not measure it, and measures the TSC against it: the
  // usual measurement against the PIT fails on a busy host and leaves a clock of 4 ms steps (guest/image/qemu-clocks.c).
  'lapic_timer_khz=1000000',
]

const KVM_WORDS: readonly string[] = [
  // Poll briefly before halting: leaving the guest is what costs under KVM. Under TCG polling would only burn the host.
  'cpuidle_haltpoll.force=1',
]
