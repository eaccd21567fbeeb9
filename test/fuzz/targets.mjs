// @ts-check
// What is fuzzed: each parser on the host that reads bytes from a guest, or from a QEMU that was taken over. A run returns what it made of the bytes, as
// text; it throws only for what is a bug. `run(bytes, cut)` gives the bytes in pieces of `cut`: the answer may not depend on it.
import { readFileSync } from 'node:fs'
import { ZodError } from 'zod'
import { ProtocolError } from '../../dist/base/index.js'
import { FrameDecoder } from '../../dist/channel/frame-decoder.js'
import { parseEvent, parseHello, parseRequest, parseResponse } from '../../dist/channel/guest-json.js'
import { connectParams, resolveParams } from '../../dist/channel/network-requests.js'
import { ClientHelloReader } from '../../dist/network/tls/client-hello.js'
import { BootLog } from '../../dist/qemu/boot-log.js'
import { LineSplitter } from '../../dist/qemu/qmp-lines.js'
import { parseQmpMessage } from '../../dist/qemu/qmp-messages.js'
import { parseDisplayedValue, parseProgramError } from '../../dist/sandbox/displayed-value.js'

/** @typedef {{ readonly name: string, readonly seeds: readonly Buffer[], readonly words: readonly string[], readonly run: (bytes: Buffer, cut: number) => string }} Target */

/** @type {{ frames: { hex: string, decodedBy: string[] }[], rejections: { hex: string }[] }} */
const VECTORS = JSON.parse(readFileSync(new URL('../../guest/wire/vectors.json', import.meta.url), 'utf8'))

/** @param {Buffer} bytes @param {number} cut */
function pieces(bytes, cut) {
  const all = []
  for (let at = 0; at < bytes.length; at += cut) all.push(bytes.subarray(at, at + cut))
  return all
}

/** An answer, or the kind of error that the rules have for it. @param {() => unknown} parse */
function answer(parse) {
  try {
    return JSON.stringify(parse()) ?? 'nothing'
  } catch (error) {
    if (error instanceof ProtocolError) return `ProtocolError ${error.details.rule}`
    // What QMP's reader takes for "not QMP" and ends the VM for.
    if (error instanceof SyntaxError || error instanceof ZodError) return error.name
    if (error instanceof Error && error.message === 'not a JSON object') return error.message
    throw error
  }
}

/** @param {Buffer} bytes @param {number} cut */
function runFrames(bytes, cut) {
  /** @type {string[]} */
  const told = []
  let data = 0
  const decoder = new FrameDecoder('guest', {
    frame: (header, payload) => void told.push(`${JSON.stringify(header)} ${payload.length}`),
    data: (header) => void told.push(`data ${JSON.stringify(header)}`),
    dataBytes: (piece) => {
      if (piece.length === 0) throw new Error('an empty piece')
      data += piece.length
    },
  })
  told.push(
    answer(() => {
      for (const piece of pieces(bytes, cut)) decoder.push(piece)
      return decoder.atBorder
    }),
  )
  if (data > bytes.length) throw new Error('more bytes than there were')
  return `${told.join('\n')} ${data}`
}

/** @param {Buffer} bytes */
function runJson(bytes) {
  const before = Object.keys(Object.prototype).length
  const told = [parseHello, parseEvent, parseRequest, parseResponse].map((parse) => answer(() => parse(bytes)))
  const params = answer(() => parseRequest(bytes).params)
  if (params.startsWith('{')) {
    const value = JSON.parse(params)
    told.push(String(connectParams.safeParse(value).success), String(resolveParams.safeParse(value).success))
  }
  if (Object.keys(Object.prototype).length !== before) throw new Error('a prototype has changed')
  return told.join('\n')
}

/** @param {Buffer} bytes @param {number} cut */
function runHello(bytes, cut) {
  const reader = new ClientHelloReader()
  /** @type {ReturnType<ClientHelloReader['feed']>} */
  let last = 'more'
  for (const piece of pieces(bytes, cut)) {
    const next = reader.feed(piece)
    if (last !== 'more' && JSON.stringify(next) !== JSON.stringify(last)) throw new Error('the answer has changed')
    last = next
  }
  const end = reader.end()
  if (end.kind === 'tls' && end.serverName !== undefined && !/^[a-z0-9_.-]{1,253}$/.test(end.serverName)) throw new Error(`a name: ${end.serverName}`)
  return JSON.stringify([last, end])
}

/** @param {Buffer} bytes @param {number} cut */
function runQmp(bytes, cut) {
  const splitter = new LineSplitter(4_096)
  /** @type {string[]} */
  const told = []
  try {
    for (const piece of pieces(bytes, cut))
      for (const line of splitter.push(Buffer.from(piece))) told.push(answer(() => parseQmpMessage(line)))
  } catch (error) {
    // Which lines came before the one that is too long depends on how they arrive; that it is refused does not.
    if (error instanceof RangeError) return 'a line is too long'
    throw error
  }
  return told.join('\n')
}

/** @param {Buffer} bytes @param {number} cut */
function runConsole(bytes, cut) {
  let length = 0
  const log = new BootLog((line) => {
    length += line.length
    if (line.includes('\n')) throw new Error('a line holds an end of line')
  })
  for (const piece of pieces(bytes, cut)) log.push(piece)
  log.finish()
  if (length > bytes.length) throw new Error('more was passed on than came')
  return log.ring.text()
}

/** @param {Buffer} bytes */
function runValues(bytes) {
  const text = bytes.toString('utf8')
  const value = parseDisplayedValue(text)
  const error = parseProgramError(text)
  for (const part of [error.name, error.message, error.traceback]) if (typeof part !== 'string') throw new Error('no text')
  return JSON.stringify([value, error])
}

/** A ClientHello with two extensions. */
const HELLO = Buffer.from(
  [
    '160301004a010000460303000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f000002130101000',
    '01b0000000e000c0000096c6f63616c686f7374002b0003020304',
  ].join(''),
  'hex',
)

/** @type {readonly Target[]} */
export const TARGETS = [
  {
    name: 'frames',
    seeds: [...VECTORS.frames.filter(({ decodedBy }) => decodedBy.includes('host')), ...VECTORS.rejections].map(({ hex }) => Buffer.from(hex, 'hex')),
    words: [],
    run: runFrames,
  },
  {
    name: 'json',
    seeds: ['{"generation":1,"agent":"x"}', '{"result":{}}', '{"error":{"code":"internal","message":""}}', '{"method":"connect","params":{"address":"1.2.3.4","port":1}}', '{"method":"resolve","params":{"name":"a.b","type":"A"}}'].map((text) => Buffer.from(text)),
    words: ['"__proto__"', '"constructor"', '{"a":', '[[[[', '1e999', '"\\ud800"', 'null', '"params"', '"result"', '"error"'],
    run: runJson,
  },
  { name: 'tls', seeds: [HELLO, Buffer.from([0x15, 3, 1, 0, 2, 1, 0]), Buffer.from([0x80, 46, 1, 3, 1])], words: ['\0\0', '\xfe\r', '\x16\x03\x01'], run: runHello },
  {
    name: 'qmp',
    seeds: ['{"QMP":{"version":{"qemu":{"micro":0,"minor":0,"major":10},"package":""},"capabilities":[]}}\r\n', '{"return":{},"id":1}\r\n', '{"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-reset"},"timestamp":{}}\n', '{"error":{"class":"x","desc":"y"},"id":2}\n'].map((text) => Buffer.from(text)),
    words: ['"event"', '"return"', '"id":', '"__proto__"', '\n', '"MIGRATION"'],
    run: runQmp,
  },
  { name: 'console', seeds: [Buffer.from('[    0.0] Linux\r\nKernel panic - not syncing: x\n'), Buffer.from([0xff, 0xc3, 10])], words: ['\x1b[2J', '\r\n', 'é'], run: runConsole },
  {
    name: 'values',
    seeds: ['{"type":"text/plain","data":"1"}', '{"data":{"text/plain":"1","image/png":"iVBORw0KGgo="}}', '{"name":"E","message":"m","traceback":"t"}'].map((text) => Buffer.from(text)),
    words: ['"text/plain"', '"image/png"', '"application/json"', '"data"', '"__proto__"'],
    run: runValues,
  },
]
