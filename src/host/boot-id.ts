import { readFile } from 'node:fs/promises'

/** The kernel's name for this boot of the host: random, new at every boot (random(4)). */
export async function readBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim()
}
