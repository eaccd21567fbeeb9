import { addressOf, blockOf, contains, type IpAddress, parseAddress } from '../policy/ip-address.ts'

/** Benchmarking (RFC 2544): never public, never routed, so no real address is ever hidden by a stand-in. */
const STAND_INS = blockOf('198.18.0.0/15')
/** All of the block but its first and last address. */
export const STAND_IN_COUNT = 131_070

/**
 * Addresses that mean something else inside the guest, or nothing: its own network (the TUN device's two ends), its
 * loopback, "this network", multicast and broadcast; and the stand-ins, so that each of these means one thing.
 */
const NOT_GIVABLE = [
  STAND_INS,
  ...['100.64.0.0/30', '127.0.0.0/8', '0.0.0.0/8', '224.0.0.0/4', '255.255.255.255/32'].map(blockOf),
]

/** The stand-in number `index`, counted round. */
export function standIn(index: number): string {
  return addressOf(4, STAND_INS.base + 1n + BigInt(index % STAND_IN_COUNT)).text
}

export function isStandIn(text: string): boolean {
  const address = parseAddress(text)
  return address !== undefined && contains(STAND_INS, address)
}

/** Whether a program in the guest can be given a real address as it is. */
export function isGivable(address: IpAddress): boolean {
  return address.family === 4 && !NOT_GIVABLE.some((block) => contains(block, address))
}
