import { readFile } from 'node:fs/promises'

/** Frequencies that a processor of the last twenty years may have, in kHz. */
const SLOWEST_KHZ = 500_000
const FASTEST_KHZ = 10_000_000

/** The frequency of this host's time-stamp counter; undefined where the kernel does not tell. */
export async function readTscKhz(): Promise<number | undefined> {
  return tscKhzFrom(await readFile('/proc/cpuinfo', 'utf8').catch(() => ''))
}

/**
 * The frequency from the text of /proc/cpuinfo. With a constant counter the kernel derives its delay loop from it, so that
 * BogoMIPS is twice the counter's frequency in MHz, with two decimals: right to a few millionths. Pure.
 */
export function tscKhzFrom(cpuinfo: string): number | undefined {
  const flags = /^flags\s*:\s*(.*)$/m.exec(cpuinfo)?.[1]?.split(' ') ?? []
  if (!flags.includes('constant_tsc')) return undefined
  const speeds = [...cpuinfo.matchAll(/^bogomips\s*:\s*(\d+\.\d+)$/gm)].map(([, value]) => Number(value))
  const [first] = speeds
  // Processors that differ were measured one by one, which says nothing about the counter.
  if (first === undefined || speeds.some((speed) => speed !== first)) return undefined
  const khz = Math.round(first * 500)
  return khz >= SLOWEST_KHZ && khz <= FASTEST_KHZ ? khz : undefined
}
