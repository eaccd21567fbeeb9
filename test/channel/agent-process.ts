import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Channel } from '../../src/channel/index.ts'
import { connectedSockets } from './connected-sockets.ts'

const CRATE = fileURLToPath(new URL('../../guest/agent', import.meta.url))

/** A build from nothing on a busy machine of two cores. */
export const BUILD_TIMEOUT_MS = 600_000

const HELLO_TIMEOUT_MS = 20_000

/** Builds the agent as a program of the host (guest/agent/examples/serve.rs) and returns its path. */
export async function buildAgentProgram(): Promise<string> {
  const args = ['build', '--quiet', '--locked', '--example', 'serve', '--message-format=json-render-diagnostics']
  const { stdout } = await promisify(execFile)('cargo', args, {
    cwd: CRATE,
    timeout: BUILD_TIMEOUT_MS,
    maxBuffer: 64 * 1_048_576,
  })
  for (const line of stdout.split('\n')) {
    if (!line.startsWith('{')) continue
    const { executable, target } = JSON.parse(line) as { executable?: string | null; target?: { name: string } }
    if (target?.name === 'serve' && typeof executable === 'string') return executable
  }
  throw new Error('cargo named no program for the example "serve"')
}

/** The real agent outside a VM, and an open channel to it: programs run as whoever runs the test. */
export class AgentProcess implements AsyncDisposable {
  readonly channel: Channel
  readonly #process: ChildProcess
  readonly #directory: string

  static async start(program: string): Promise<AgentProcess> {
    const directory = await mkdtemp(join(tmpdir(), 'exec-sandbox-agent-'))
    const home = join(directory, 'home')
    await mkdir(home)
    const [near, far] = await connectedSockets()
    // The agent inherits the far end as its descriptor 0; this process keeps none of it.
    const child = spawn(program, [home, directory, directory, join(directory, 'resolv.conf')], {
      stdio: [far, 'ignore', 'inherit'],
    })
    far.destroy()
    try {
      const channel = await Channel.open(near, { helloTimeoutMs: HELLO_TIMEOUT_MS })
      return new AgentProcess(channel, child, directory)
    } catch (error) {
      child.kill('SIGKILL')
      throw error
    }
  }

  private constructor(channel: Channel, child: ChildProcess, directory: string) {
    this.channel = channel
    this.#process = child
    this.#directory = directory
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.channel.close()
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const exit = once(this.#process, 'exit')
      this.#process.kill('SIGKILL')
      await exit
    }
    await rm(this.#directory, { recursive: true, force: true })
  }
}
