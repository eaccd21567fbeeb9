// process.stdin, stdout and stderr: made when they are first used, because loading them costs more than most programs.

import { createReadStream, createWriteStream } from 'node:fs'
import process from 'node:process'
import { writeAll } from './descriptors.ts'

const { ArrayBuffer, Buffer, Object, TypeError, Uint8Array, queueMicrotask } = globalThis

type Name = 'stdin' | 'stdout' | 'stderr'
type Output = NodeJS.WriteStream & { readonly fd: number }

/** Puts the streams in place. Gives back what is to be called before each run. */
export function prepareStreams(): () => void {
  const renewals = [
    provide('stdin', 0, () => createReadStream('', { fd: 0, autoClose: false }), isReadable),
    provide('stdout', 1, () => createWriteStream('', { fd: 1, autoClose: false }), isWritable, writeSynchronously),
    provide('stderr', 2, () => createWriteStream('', { fd: 2, autoClose: false }), isWritable, writeSynchronously),
  ] as const
  return () => {
    renewals[0]()
    renewals[1]()
    renewals[2]()
  }
}

/**
 * Bun's own stream at first. A program may have read or closed it to its end: the next program gets another one, as it
 * would in a process of its own.
 */
function provide(
  name: Name,
  descriptor: number,
  create: () => unknown,
  isUsable: (stream: unknown) => boolean,
  prepare: (stream: unknown, descriptor: number) => void = () => {},
): () => void {
  const original = Object.getOwnPropertyDescriptor(process, name)
  let first = true
  let stream: unknown
  const get = () => {
    if (stream !== undefined) return stream
    stream = first ? (original?.get ? original.get.call(process) : original?.value) : create()
    first = false
    prepare(stream, descriptor)
    return stream
  }
  const set = (value: unknown) => (stream = value)
  Object.defineProperty(process, name, { __proto__: null, get, set, configurable: true, enumerable: true } as object)
  return () => {
    if (stream !== undefined && !isUsable(stream)) stream = undefined
  }
}

function isReadable(stream: unknown): boolean {
  const { readableEnded, destroyed } = (stream ?? { destroyed: true }) as NodeJS.ReadStream
  return !readableEnded && !destroyed
}

function isWritable(stream: unknown): boolean {
  const { writableEnded, destroyed } = (stream ?? { destroyed: true }) as NodeJS.WriteStream
  return !writableEnded && !destroyed
}

/**
 * Makes `write` return when the bytes are in the pipe. Bun's own may still hold some when the program ends.
 */
function writeSynchronously(stream: unknown, descriptor: number): void {
  const output = stream as Output
  output.write = (chunk: Uint8Array | string, encoding?: unknown, callback?: unknown) => {
    writeAll(descriptor, bytesOf(chunk, encoding))
    const done = typeof encoding === 'function' ? encoding : callback
    if (typeof done === 'function') queueMicrotask(() => done())
    return true
  }
}

function bytesOf(chunk: unknown, encoding: unknown): Uint8Array {
  if (typeof chunk === 'string')
    return Buffer.from(chunk, typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
  if (ArrayBuffer.isView(chunk)) return new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength)
  const error = new TypeError(
    'The "chunk" argument must be of type string or an instance of Buffer, TypedArray, or DataView',
  )
  throw Object.assign(error, { code: 'ERR_INVALID_ARG_TYPE' })
}
