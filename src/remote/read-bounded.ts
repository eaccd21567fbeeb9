import type { StoredObject } from './object-store.ts'
import { StoreFailure } from './store-failure.ts'

/**
 * All bytes of a small object.
 * @throws StoreFailure as soon as there are more than `limitBytes`, or when there are others than the store said
 */
export async function readBounded(
  object: StoredObject,
  options: { readonly limitBytes: number; readonly onBytes: (bytes: number) => void },
): Promise<Uint8Array> {
  const { body, bytes: promised } = object
  const chunks: Uint8Array[] = []
  let bytes = 0
  try {
    refuseAbove(promised ?? 0, options.limitBytes)
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      bytes += chunk.byteLength
      options.onBytes(chunk.byteLength)
      refuseAbove(bytes, options.limitBytes)
      chunks.push(chunk)
    }
  } finally {
    body.destroy()
  }
  if (promised !== undefined && promised !== bytes) {
    throw new StoreFailure('lying', `an object of ${bytes} bytes instead of ${promised}`)
  }
  return Buffer.concat(chunks)
}

function refuseAbove(bytes: number, limitBytes: number): void {
  if (bytes > limitBytes) throw new StoreFailure('lying', `an object of more than ${limitBytes} bytes`)
}
