import { constants } from 'node:fs'
import { open, stat } from 'node:fs/promises'

/** What can be said about KVM without running anything in it. That it opens proves little: the probe decides. */
export type KvmDeviceFact =
  | { readonly state: 'openable' }
  | { readonly state: 'absent'; readonly reason: string }
  | { readonly state: 'denied'; readonly reason: string; readonly fix: string }

export const KVM_DEVICE = '/dev/kvm'

export async function findKvmDevice(): Promise<KvmDeviceFact> {
  try {
    await stat(KVM_DEVICE)
  } catch {
    return {
      state: 'absent',
      reason: `there is no ${KVM_DEVICE}: no hardware virtualization here, or its module is not loaded`,
    }
  }
  try {
    const device = await open(KVM_DEVICE, constants.O_RDWR)
    await device.close()
    return { state: 'openable' }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    const fix =
      code === 'EACCES'
        ? 'sudo usermod -aG kvm "$USER", then log in again'
        : 'sudo modprobe kvm_intel || sudo modprobe kvm_amd'
    return { state: 'denied', reason: `${KVM_DEVICE} cannot be opened: ${code}`, fix }
  }
}
