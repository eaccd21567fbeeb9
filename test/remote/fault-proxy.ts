import { createHash } from 'node:crypto'
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Seen {
  readonly method: string
  readonly path: string
  readonly status: number
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

/** Answers a request in the server's place, or with what the server said. */
export type Fault = (response: ServerResponse, forward: () => Promise<Answer>, path: string) => Promise<void> | void

/** The region that requests must be signed for, as the real service demands. */
const REGION = 'us-east-1'

/**
 * Stands before an S3 server. Verifies what that one leaves out (a signature at all, its region, the digest of the body),
 * notes each request, and misbehaves when a test says so.
 */
export class FaultProxy {
  /** Chooses what goes wrong with a request; undefined = nothing. */
  fault: (method: string, path: string) => Fault | undefined = () => undefined
  readonly seen: Seen[] = []
  /** The most uploads that were under way at one time. */
  mostUploads = 0
  #uploads = 0
  readonly #server: Server
  readonly #target: number

  static async start(target: number): Promise<FaultProxy> {
    const proxy = new FaultProxy(target)
    await new Promise<void>((resolve) => {
      proxy.#server.listen(0, '127.0.0.1', resolve)
    })
    return proxy
  }

  private constructor(target: number) {
    this.#target = target
    this.#server = createServer((incoming, response) => {
      void this.#serve(incoming, response).catch(() => response.destroy())
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Requests of a method that were seen, by path. */
  paths(method: string): string[] {
    return this.seen.filter((seen) => seen.method === method).map(({ path }) => path)
  }

  /** Forgets what was seen, and behaves. */
  reset(): void {
    this.seen.length = 0
    this.mostUploads = 0
    this.fault = () => undefined
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = incoming.method ?? ''
    const path = new URL(incoming.url ?? '', 'http://proxy').pathname
    const isUpload = method === 'PUT'
    if (isUpload) this.#uploads += 1
    this.mostUploads = Math.max(this.mostUploads, this.#uploads)
    response.once('finish', () => this.seen.push({ method, path, status: response.statusCode }))
    response.once('close', () => (this.#uploads -= isUpload ? 1 : 0))
    const body = await bytesOf(incoming)
    const refusal = refusalOf(incoming.headers, body)
    const forward = async (): Promise<Answer> => await this.#forward(incoming, body)
    const fault = this.fault(method, path)
    if (refusal !== undefined) respond(response, refusal)
    else if (fault !== undefined) await fault(response, forward, path)
    else respond(response, await forward())
  }

  async #forward(incoming: IncomingMessage, body: Buffer): Promise<Answer> {
    return await new Promise<Answer>((resolve, reject) => {
      const outgoing = request(
        {
          host: '127.0.0.1',
          port: this.#target,
          method: incoming.method,
          path: incoming.url,
          headers: incoming.headers,
          agent: false,
        },
        (answer) => {
          bytesOf(answer).then(
            (bytes) => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: bytes }),
            reject,
          )
        },
      )
      outgoing.on('error', reject)
      outgoing.end(body)
    })
  }
}

export function respond(response: ServerResponse, answer: Answer): void {
  response.writeHead(answer.status, answer.headers)
  response.end(answer.body)
}

export function xmlError(status: number, code: string): Answer {
  const body = Buffer.from(
    `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>no</Message></Error>`,
  )
  return { status, headers: { 'content-type': 'application/xml', 'content-length': String(body.length) }, body }
}

function refusalOf(headers: IncomingHttpHeaders, body: Buffer): Answer | undefined {
  const authorization = headers.authorization
  if (authorization === undefined) return xmlError(403, 'AccessDenied')
  if (!authorization.includes(`/${REGION}/s3/aws4_request`)) return xmlError(400, 'AuthorizationHeaderMalformed')
  const digest = createHash('sha256').update(body).digest('hex')
  return headers['x-amz-content-sha256'] === digest ? undefined : xmlError(400, 'XAmzContentSHA256Mismatch')
}

async function bytesOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of message) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
