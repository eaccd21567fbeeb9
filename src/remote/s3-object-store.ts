import { Agent as HttpAgent, type AgentOptions } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import { addAbortSignal, finished, Readable, Transform } from 'node:stream'
import type * as Sdk from '@aws-sdk/client-s3'
import { DependencyError, errnoOf, untilAborted } from '../base/index.ts'
import type { NewObject, ObjectStore, StoredObject } from './object-store.ts'
import type { RemoteCacheOptions } from './remote-cache-options.ts'
import { StoreFailure } from './store-failure.ts'

/** Milliseconds for a connection to stand, TLS included. A store that is down must cost little. */
const CONNECT_TIMEOUT_MS = 5_000
/** Tries of the SDK for one request, with a pause of its own between them: who waits here could be installing instead. */
const TRIES = 2
/** Connections at once. */
const CONNECTIONS = 16
/** Bytes of a response that is no object: answers of S3 have a few hundred. */
const LARGEST_ANSWER_BYTES = 64 * 1024

const SILENT = { trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore }
function ignore(): void {}

/** Objects in S3, or in a store that speaks its protocol. Needs a package that users of it install themselves. */
export class S3ObjectStore implements ObjectStore {
  readonly #sdk: typeof Sdk
  readonly #client: Sdk.S3Client
  readonly #bucket: string

  /**
   * Asks the store nothing yet.
   * @throws DependencyError when the SDK is not installed
   */
  static async open(options: RemoteCacheOptions): Promise<S3ObjectStore> {
    return new S3ObjectStore(await loadSdk(), options)
  }

  private constructor(sdk: typeof Sdk, options: RemoteCacheOptions) {
    this.#sdk = sdk
    this.#bucket = options.bucket
    this.#client = new sdk.S3Client(clientConfiguration(options))
    this.#client.middlewareStack.add(
      (next, context) => async (args) => {
        const result = await next(args)
        boundAnswer(result.response, context.commandName)
        return result
      },
      // Nearest to the socket: before the SDK looks at the response.
      { step: 'deserialize', priority: 'low', name: 'boundAnswers' },
    )
  }

  async get(name: string, options: { readonly signal: AbortSignal }): Promise<StoredObject | undefined> {
    const { signal } = options
    const command = new this.#sdk.GetObjectCommand({ Bucket: this.#bucket, Key: name })
    let arrived: Readable | undefined
    command.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args)
        arrived = bodyOf(result.response)
        return result
      },
      { step: 'deserialize', priority: 'low', name: 'noteBody' },
    )
    const sent = this.#client.send(command, { abortSignal: signal })
    try {
      // The SDK looks for credentials without listening to the signal.
      const { Body: body, ContentLength: bytes } = await untilAborted(sent, signal)
      if (!(body instanceof Readable)) throw new StoreFailure('lying', 'a response without a body')
      // Whether or not this version of the SDK does so for a body that has begun.
      addAbortSignal(signal, body)
      return { bytes, body }
    } catch (error) {
      // The SDK leaves the body of a response whose headers it cannot read, and with it the connection.
      arrived?.destroy()
      if (error instanceof Error && error.name === 'NoSuchKey') return undefined
      throw error
    }
  }

  async put(name: string, object: NewObject, options: { readonly signal: AbortSignal }): Promise<void> {
    const body = object.body()
    const command = new this.#sdk.PutObjectCommand({
      Bucket: this.#bucket,
      Key: name,
      Body: body,
      ContentLength: object.bytes,
      ContentType: object.contentType,
    })
    // The SDK does not digest streams and would sign the request without its body: tell it what the body is.
    command.middlewareStack.add(
      (next) => async (args) => {
        const { request } = args
        if (isRecord(request) && isRecord(request['headers']))
          request['headers']['x-amz-content-sha256'] = object.sha256
        return await next(args)
      },
      { step: 'build', name: 'signBody' },
    )
    try {
      await untilAborted(this.#client.send(command, { abortSignal: options.signal }), options.signal)
    } finally {
      if (body instanceof Readable) body.destroy()
    }
  }

  close(): void {
    this.#client.destroy()
  }
}

async function loadSdk(): Promise<typeof Sdk> {
  try {
    return await import('@aws-sdk/client-s3')
  } catch (error) {
    if (errnoOf(error) !== 'ERR_MODULE_NOT_FOUND') throw error
    const fix = 'npm install @aws-sdk/client-s3'
    throw new DependencyError(
      `The option remoteCache needs the package @aws-sdk/client-s3, which is not installed: ${fix}`,
      { dependency: '@aws-sdk/client-s3', fix },
      error,
    )
  }
}

function clientConfiguration(options: RemoteCacheOptions): Sdk.S3ClientConfig {
  const { endpoint, region } = options
  // A store of one's own has no regions, but a signature names one. Where the AWS configuration says which, it decides.
  const named = process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION']
  const assumed = region ?? (endpoint === undefined ? undefined : (named ?? 'us-east-1'))
  // Node 22.21, 24.5 and later find the proxy in HTTPS_PROXY, HTTP_PROXY and NO_PROXY; older ones ignore the property.
  const agent: AgentOptions & { readonly proxyEnv: NodeJS.ProcessEnv } = {
    keepAlive: true,
    maxSockets: CONNECTIONS,
    proxyEnv: process.env,
  }
  return {
    ...(assumed === undefined ? {} : { region: assumed }),
    ...(endpoint === undefined ? {} : { endpoint }),
    forcePathStyle: options.forcePathStyle ?? endpoint !== undefined,
    maxAttempts: TRIES,
    // We have digests of our own, of every byte; stores that only resemble S3 do not all know those of the SDK.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // A second round trip before each upload, for which not all stores answer.
    expectContinueHeader: false,
    // What goes wrong is told once, by us: the SDK's own logger writes to the console of the user's program.
    logger: SILENT,
    requestHandler: {
      connectionTimeout: CONNECT_TIMEOUT_MS,
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(agent),
    },
  }
}

/**
 * The SDK reads answers, those of errors above all, into memory whatever their size. Not so the body of an object that
 * was found: its reader is ours, and counts.
 */
function boundAnswer(response: unknown, commandName: string | undefined): void {
  const body = bodyOf(response)
  if (!isRecord(response) || body === undefined) return
  const found = typeof response['statusCode'] === 'number' && response['statusCode'] < 300
  if (!(found && commandName === 'GetObjectCommand')) response['body'] = bounded(body)
}

function bounded(body: Readable): Readable {
  let bytes = 0
  const limit = new Transform({
    transform(chunk: Uint8Array, _encoding, done): void {
      bytes += chunk.byteLength
      if (bytes <= LARGEST_ANSWER_BYTES) done(null, chunk)
      else done(new StoreFailure('lying', `an answer of more than ${LARGEST_ANSWER_BYTES} bytes`))
    },
  })
  finished(limit, () => body.destroy())
  finished(body, (error) => (error ? limit.destroy(error) : undefined))
  return body.pipe(limit)
}

function bodyOf(response: unknown): Readable | undefined {
  return isRecord(response) && response['body'] instanceof Readable ? response['body'] : undefined
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
