import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sbx } from './sbx.ts'

/** Prints the answer of a server, or the name of what went wrong. */
const fetch = (url: string): string => `
import urllib.request
try:
    print(urllib.request.urlopen('${url}', timeout=20).read().decode())
except Exception as error:
    print(type(getattr(error, 'reason', error)).__name__)
`

describe('sbx run', () => {
  let server: Server
  let url: string
  let host: string
  beforeAll(async () => {
    server = createServer((_, response) => response.end('from the host')).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (typeof address !== 'object' || address === null) throw new TypeError('no port')
    host = `host.exec-sandbox.internal:${address.port}`
    url = `http://${host}/`
  })
  afterAll(() => server.close())

  it('reaches nothing by default', async () => {
    expect(await sbx(['-c', fetch(url)])).toEqual({ code: 0, stdout: 'gaierror\n', stderr: '' })
  })

  it('--allow lets it reach what it names', async () => {
    expect(await sbx(['--allow', host, '-c', fetch(url)])).toEqual({ code: 0, stdout: 'from the host\n', stderr: '' })
  })

  it('--network does not mean this host, and --deny goes before --allow', async () => {
    expect((await sbx(['--network', '-c', fetch(url)])).stdout).toBe('gaierror\n')
    expect((await sbx(['--allow', host, '--deny', 'host.exec-sandbox.internal', '-c', fetch(url)])).stdout).toBe(
      'gaierror\n',
    )
  })

  it('exits 2 for a rule that is none', async () => {
    const outcome = await sbx(['run', '--allow', 'https://example.com', '-c', '1'])
    expect(outcome).toMatchObject({ code: 2, stderr: expect.stringContaining('network.allow[0]: expected') })
  })
})
