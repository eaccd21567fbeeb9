import { z } from 'zod'
import { withDeadline } from '../base/index.ts'
import type { QemuProcess } from './qemu-process.ts'
import { QmpError } from './qmp-client.ts'
import { pathForQemu, type VmPlan } from './vm-plan.ts'

/** Milliseconds for the device state to be written or read: 140 KB, which take milliseconds. */
const STATE_TIMEOUT_MS = 20_000

const nothing = z.unknown()
const migrationInfo = z.object({ 'error-desc': z.string().max(4_096).optional() })

/** RAM is the file that it lies in: only the state of processors and devices is written (`x-ignore-shared`). */
const CAPABILITIES = ['x-ignore-shared', 'events'].map((capability) => ({ capability, state: true }))

/**
 * Stops the guest and writes its state beside its RAM; the plan's memory is of the kind `shared`. The VM stays stopped:
 * whoever saved it ends it.
 * @throws QmpError · AbortedError
 */
export async function saveState(qemu: QemuProcess, plan: VmPlan, signal?: AbortSignal): Promise<void> {
  const uri = stateUri(plan, 'shared')
  await qemu.qmp.execute('stop', {}, { result: nothing, signal })
  await migrate(qemu, 'migrate', uri, signal)
}

/**
 * Loads the state of a template into a QEMU that waits for it; the plan's memory is of the kind `template`. The guest
 * stays stopped.
 * @throws QmpError when the state does not fit · AbortedError
 */
export async function loadState(qemu: QemuProcess, plan: VmPlan, signal?: AbortSignal): Promise<void> {
  await migrate(qemu, 'migrate-incoming', stateUri(plan, 'template'), signal)
}

/** Lets a guest go on that is stopped. @throws QmpError · AbortedError */
export async function continueGuest(qemu: QemuProcess, signal?: AbortSignal): Promise<void> {
  await qemu.qmp.execute('cont', {}, { result: nothing, signal })
}

async function migrate(
  qemu: QemuProcess,
  command: 'migrate' | 'migrate-incoming',
  uri: string,
  signal: AbortSignal | undefined,
): Promise<void> {
  const ended = new Promise<string>((resolve) => {
    qemu.onMigration((status) => {
      if (status === 'completed' || status === 'failed') resolve(status)
    })
  })
  try {
    const capabilities = { capabilities: CAPABILITIES }
    // Sent together: QEMU takes one after the other, and the answers cost a round trip less.
    await Promise.all([
      qemu.qmp.execute('migrate-set-capabilities', capabilities, { result: nothing, signal }),
      qemu.qmp.execute(command, { uri }, { result: nothing, signal }),
    ])
    const status = await withDeadline(ended, {
      timeoutMs: STATE_TIMEOUT_MS,
      signal,
      onTimeout: () => new QmpError('timeout', `QMP ${command}: not done within ${STATE_TIMEOUT_MS} ms`),
    })
    if (status === 'completed') return
    const info = await qemu.qmp.execute('query-migrate', {}, { result: migrationInfo, signal })
    throw new QmpError('refused', `QMP ${command}: ${info['error-desc'] ?? 'failed without a word'}`)
  } finally {
    qemu.onMigration(undefined)
  }
}

function stateUri(plan: VmPlan, kind: 'shared' | 'template'): string {
  if (plan.memory.kind !== kind) throw new TypeError(`expected memory of the kind ${kind}, got ${plan.memory.kind}`)
  return `file:${pathForQemu(plan, plan.memory.state)}`
}
