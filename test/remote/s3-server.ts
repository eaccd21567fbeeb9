import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import S3rver from '@20minutes/s3rver'
import { FaultProxy } from './fault-proxy.ts'

export const BUCKET = 'layers'
/** The only credentials that the server knows: built into it. */
export const CREDENTIALS = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER' }

/** A real S3 server, which verifies signatures, behind a proxy that verifies what it does not and can misbehave. */
export interface TestS3 extends AsyncDisposable {
  readonly proxy: FaultProxy
  readonly endpoint: string
}

export async function startS3(): Promise<TestS3> {
  const directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-s3-'))
  const server = new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    configureBuckets: [{ name: BUCKET }],
  })
  const { port } = await server.run()
  const proxy = await FaultProxy.start(port)
  return {
    proxy,
    endpoint: `http://127.0.0.1:${proxy.port}`,
    async [Symbol.asyncDispose]() {
      await proxy.close()
      await server.close()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

/** Makes this process's AWS configuration that of the tests, and nothing of the machine's. */
export function setCredentials(credentials: { accessKeyId: string; secretAccessKey: string } | undefined): void {
  for (const name of Object.keys(process.env)) if (name.startsWith('AWS_')) delete process.env[name]
  process.env['AWS_CONFIG_FILE'] = '/dev/null'
  process.env['AWS_SHARED_CREDENTIALS_FILE'] = '/dev/null'
  process.env['AWS_EC2_METADATA_DISABLED'] = 'true'
  if (credentials === undefined) return
  process.env['AWS_ACCESS_KEY_ID'] = credentials.accessKeyId
  process.env['AWS_SECRET_ACCESS_KEY'] = credentials.secretAccessKey
}
