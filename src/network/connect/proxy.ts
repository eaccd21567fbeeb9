import { request as requestHttp, type ClientRequest, type IncomingMessage } from 'node:http'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { ConnectionError } from '../connection-error.ts'
import { errnoOf } from '../../base/index.ts'
import type { ConnectionFailureCode } from '../guest-connection.ts'

export interface ProxyOptions {
  readonly signal: AbortSignal
  /** PEM certificates that an https: proxy may be certified by. @default those of Node */
  readonly authorities?: readonly string[]
}

/** More than this before the proxy's answer has ended is no answer to CONNECT. */
const MAX_HEADER_BYTES = 16_384

/**
 * A connection to `target` through an HTTP proxy (RFC 9110, section 9.3.6). Credentials come from the proxy's URL and never
 * appear in a message.
 * @param target `name:port`, `address:port` or `[IPv6]:port`
 * @throws ConnectionError; the signal's reason
 */
export async function connectThroughProxy(proxy: URL, target: string, options: ProxyOptions): Promise<Socket> {
  const { signal } = options
  signal.throwIfAborted()
  const shown = `the proxy ${proxy.protocol}//${proxy.host}`
  return await new Promise<Socket>((resolve, reject) => {
    const request = beginConnect(proxy, target, options)
    const onAbort = (): void => {
      settle(() => reject(signal.reason))
      request.destroy()
    }
    const settle = (finish: () => void): void => {
      signal.removeEventListener('abort', onAbort)
      finish()
    }
    const fail = (error: ConnectionError): void => {
      settle(() => reject(error))
      request.destroy()
    }
    signal.addEventListener('abort', onAbort, { once: true })
    request.on('error', (error) => fail(new ConnectionError(codeOf(error), `${shown}: ${error.message}`, error)))
    request.once('response', () => fail(new ConnectionError('unreachable', `${shown} did not answer CONNECT`)))
    request.once('connect', (response: IncomingMessage, socket: Socket, head: Buffer) => {
      socket.on('error', () => undefined)
      const status = response.statusCode ?? 0
      if (status < 200 || status > 299) {
        socket.destroy()
        return fail(new ConnectionError(failureOf(status), `${shown} answered ${status} to CONNECT ${target}`))
      }
      if (signal.aborted) return void socket.destroy()
      if (head.byteLength > 0) socket.unshift(head)
      settle(() => resolve(socket))
    })
    request.end()
  })
}

function beginConnect(proxy: URL, target: string, { authorities }: ProxyOptions): ClientRequest {
  const host = proxy.hostname.replace(/^\[|\]$/g, '')
  const port = Number(proxy.port === '' ? (proxy.protocol === 'https:' ? 443 : 80) : proxy.port)
  const address = { host, port, allowHalfOpen: true }
  return requestHttp({
    method: 'CONNECT',
    path: target,
    headers: { host: target, ...authorizationOf(proxy) },
    maxHeaderSize: MAX_HEADER_BYTES,
    createConnection: () => {
      const socket =
        proxy.protocol === 'https:'
          ? connectTls({
              ...address,
              ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
              ...(authorities === undefined ? {} : { ca: [...authorities] }),
            })
          : connectTcp(address)
      // What a sandbox has open holds no process open.
      socket.unref()
      socket.setNoDelay(true)
      socket.setKeepAlive(true, 60_000)
      return socket
    },
  })
}

function authorizationOf({ username, password }: URL): Readonly<Record<string, string>> {
  if (username === '' && password === '') return {}
  const pair = `${decoded(username)}:${decoded(password)}`
  return { 'proxy-authorization': `Basic ${Buffer.from(pair).toString('base64')}` }
}

/** A per cent sign that begins no code stands for itself, as it does for curl: URLs leave it as it was written. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

// The proxy itself: that it refuses connections does not mean that the target does.
function codeOf(error: Error): ConnectionFailureCode {
  return errnoOf(error) === 'ETIMEDOUT' ? 'timed-out' : 'unreachable'
}

/** RFC 9110, section 15: 4xx means that the proxy does not want to, 5xx that it cannot. */
function failureOf(status: number): ConnectionFailureCode {
  if (status === 408 || status === 504) return 'timed-out'
  return status >= 400 && status < 500 ? 'refused' : 'unreachable'
}
