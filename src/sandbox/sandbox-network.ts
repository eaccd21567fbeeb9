import { BootError, type Logger, throwIfAborted } from '../base/index.ts'
import { RequestRefusedError } from '../channel/index.ts'
import {
  Gateway,
  type HostNetwork,
  type NetworkMetrics,
  type NetworkOptions,
  type NetworkPolicy,
  parseNetworkPolicy,
} from '../network/index.ts'
import { serveNetwork, setGuestNetwork, type Vm } from '../vm/index.ts'
import { CallQueue } from './call-queue.ts'
import type { Lifetime } from './lifetime.ts'

export interface SandboxNetworkOptions {
  readonly vm: Pick<Vm, 'channel' | 'bootLog' | 'explain'>
  readonly life: Pick<Lifetime, 'atEnd' | 'busy' | 'throwIfEnded'>
  readonly policy: NetworkPolicy
  readonly host: HostNetwork
  readonly logger: Logger
}

/**
 * The network of one sandbox: the gateway that judges and carries, and the device in the guest that asks it. With the network off
 * there is no device; the guest is not listened to before it was on once.
 */
export class SandboxNetwork {
  readonly #vm: SandboxNetworkOptions['vm']
  readonly #life: SandboxNetworkOptions['life']
  readonly #host: HostNetwork
  readonly #gateway: Gateway
  /** Changes are made one after the other. */
  readonly #changes = new CallQueue()
  #policy: NetworkPolicy
  #isServed = false
  /** What the guest was last told. */
  #isOn = false

  constructor({ vm, life, policy, host, logger }: SandboxNetworkOptions) {
    this.#vm = vm
    this.#life = life
    this.#host = host
    this.#policy = policy
    this.#gateway = new Gateway({ policy, host, logger })
    life.atEnd(async () => await Promise.resolve(this.#gateway.close()))
  }

  /** Makes the network of the sandbox's options. */
  async begin(signal: AbortSignal): Promise<void> {
    if (this.#policy.enabled) await this.#life.busy(async () => await this.#switch(true, signal))
  }

  /** See `Sandbox.setNetwork`. */
  async change(options: NetworkOptions, signal: AbortSignal | undefined): Promise<void> {
    const policy = parseNetworkPolicy(options)
    await this.#life.busy(async () => {
      throwIfAborted(signal)
      // At once, whatever the guest does and however long it takes to answer an earlier change: it is the gateway that holds it
      // to the rules.
      this.#policy = policy
      this.#gateway.setPolicy(policy)
      const leave = await this.#changes.enter(signal)
      try {
        this.#life.throwIfEnded()
        // A later call may have said something else meanwhile; its own turn then finds it done.
        const { enabled } = this.#policy
        if (enabled !== this.#isOn) await this.#switch(enabled, signal)
      } finally {
        leave()
      }
    })
  }

  metrics(): NetworkMetrics {
    return this.#gateway.metrics()
  }

  async #switch(enabled: boolean, signal: AbortSignal | undefined): Promise<void> {
    const authorities = enabled ? await this.#host.authorities() : ''
    if (enabled && !this.#isServed) {
      serveNetwork(this.#vm.channel, this.#gateway)
      this.#isServed = true
    }
    // From here on the guest is told, and will do it although a caller may not wait for it.
    throwIfAborted(signal)
    this.#isOn = enabled
    try {
      await setGuestNetwork(this.#vm.channel, { enabled, authorities }, signal)
    } catch (error) {
      if (error instanceof RequestRefusedError) {
        this.#isOn = !enabled
        throw this.#refused(error, enabled)
      }
      throw await this.#vm.explain(error, true)
    }
  }

  #refused(error: RequestRefusedError, enabled: boolean): BootError {
    const details = { phase: 'network', bootLog: this.#vm.bootLog, stderr: '' }
    const message = `The guest could not switch its network ${enabled ? 'on' : 'off'}: ${error.message}`
    return new BootError(message, details, { retryable: false, cause: error })
  }
}
