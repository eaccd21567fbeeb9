import type { Socket } from 'node:net'

/** Whether a socket keeps its process from exiting. Node tells it of the handle alone. */
export function holdsProcess(socket: Socket): boolean {
  const handle: unknown = Reflect.get(socket, '_handle')
  const isHandle = typeof handle === 'object' && handle !== null && 'hasRef' in handle
  if (!isHandle || typeof handle.hasRef !== 'function') throw new TypeError('the socket has no handle')
  return handle.hasRef() === true
}
