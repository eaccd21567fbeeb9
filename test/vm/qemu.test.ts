import { readdirSync, readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { QemuProcess } from '../../src/qemu/index.ts'
import { descendants } from './processes.ts'
import { agentSpeaks, silent, type TestHost, testHost } from './qemu-plan.ts'

let host: TestHost
beforeAll(async () => {
  host = await testHost()
})

describe('QemuProcess', () => {
  it('boots the agent, answers QMP and says nothing on stderr', async () => {
    await using qemu = await QemuProcess.start(host.plan(), { logger: silent })
    await agentSpeaks(qemu.channelSocket)
    const status = await qemu.qmp.execute('query-status', {}, { result: z.object({ status: z.string() }) })
    expect(status).toEqual({ status: 'running' })
    expect(qemu.stderr.text()).toBe('')
  })

  it.each(['graceful', 'forced'] as const)('is dead with all its processes when a %s stop resolves', async (speed) => {
    const before = descendants(process.pid)
    const qemu = await QemuProcess.start(host.plan(), { logger: silent })
    const pids = descendants(process.pid).filter((pid) => !before.includes(pid))
    expect(pids.length).toBeGreaterThan(0)
    await qemu.stop(speed, 'the test asked')
    for (const pid of pids) expect(isAlive(pid)).toBe(false)
    expect(await qemu.exited).toMatchObject({ kind: 'asked', reason: 'the test asked' })
  })

  it('keeps the first cause: a later stop changes nothing', async () => {
    const qemu = await QemuProcess.start(host.plan(), { logger: silent })
    await Promise.all([qemu.stop('graceful', 'first'), qemu.stop('forced', 'second'), qemu[Symbol.asyncDispose]()])
    expect(await qemu.exited).toMatchObject({ kind: 'asked', reason: 'first' })
  })

  it('kills a QEMU that does not quit when asked', async () => {
    const qemu = await QemuProcess.start(host.plan(), { logger: silent })
    const inner = descendants(qemu.pid ?? 0).at(-1) ?? 0
    process.kill(inner, 'SIGSTOP')
    await qemu.stop('graceful', 'the test asked')
    expect(isAlive(inner)).toBe(false)
    expect(await qemu.exited).toMatchObject({ kind: 'asked' })
  })

  it('gives back every descriptor, and survives an abort at any moment of its start', async () => {
    await (await QemuProcess.start(host.plan(), { logger: silent })).stop('forced', 'warm-up')
    const before = readdirSync('/proc/self/fd').length
    for (const delayMs of [0, 1, 5, 15, 40]) {
      const signal = AbortSignal.timeout(delayMs)
      const started = await QemuProcess.start(host.plan(), { logger: silent, signal }).catch((error: unknown) => error)
      if (started instanceof QemuProcess) await started.stop('forced', 'it was quicker than the abort')
      else expect(started).toMatchObject({ code: 'ABORTED' })
    }
    expect(descendants(process.pid).filter((pid) => commandLine(pid).includes('qemu-system'))).toEqual([])
    expect(readdirSync('/proc/self/fd').length).toBeLessThanOrEqual(before)
  })

  it('passes the boot log on line by line, and is not harmed by a listener that throws', async () => {
    const lines: string[] = []
    const plan = host.plan({ kernelCommandLine: host.plan().kernelCommandLine.filter((word) => word !== 'quiet') })
    await using qemu = await QemuProcess.start(plan, {
      logger: silent,
      onBootLog: (line) => {
        lines.push(line)
        throw new Error('the listener is broken')
      },
    })
    await agentSpeaks(qemu.channelSocket)
    // Console and channel are two sockets: which of them is read first, nobody knows.
    await expect.poll(() => qemu.bootLog.text()).toContain('Run /init as init process')
    expect(lines.some((line) => /Linux version 6\./.test(line))).toBe(true)
    expect(lines.some((line) => line.includes('\n'))).toBe(false)
  })
})

/** Whether it still runs: a zombie does not, it only waits for its parent to look. */
function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return false
  }
}

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
