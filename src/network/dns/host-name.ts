import { isIPv4 } from 'node:net'

/** The name by which a guest reaches the host's own 127.0.0.1, if a rule names it exactly. */
export const HOST_LOOPBACK_NAME = 'host.exec-sandbox.internal'
/** What that name means. */
export const HOST_LOOPBACK_ADDRESS = '127.0.0.1'

/** RFC 1123 §2.1 and RFC 2181 §11, with the underscore that real names have; no label begins or ends with a hyphen. */
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/
/** RFC 1035 §2.3.4: 255 bytes on the wire are 253 characters of text. */
const MAX_NAME_LENGTH = 253
/** What looks like a number at the end is read as an IPv4 address by many (WHATWG URL, "ends in a number"). */
const NUMBER = /^(?:[0-9]+|0x[0-9a-f]*)$/

/**
 * The one form in which names are compared: ASCII, lower case, without a trailing dot.
 * @returns undefined for anything that is no host name: too long, empty labels, other characters, an IP address or
 * anything that could be read as one (`127.1`, `0x7f.1`)
 */
export function canonicalHostName(text: string): string | undefined {
  if (text.length > MAX_NAME_LENGTH + 1) return undefined
  const name = lowerCase(text.endsWith('.') ? text.slice(0, -1) : text)
  return isHostName(name) ? name : undefined
}

/** Whether a text already is in the form of `canonicalHostName`. */
export function isHostName(name: string): boolean {
  if (name.length === 0 || name.length > MAX_NAME_LENGTH || isIPv4(name)) return false
  const labels = name.split('.')
  return labels.every((label) => LABEL.test(label)) && !NUMBER.test(labels.at(-1) ?? '')
}

/** ASCII alone: `toLowerCase` would turn the Kelvin sign (U+212A) into the letter k. */
export function lowerCase(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}
