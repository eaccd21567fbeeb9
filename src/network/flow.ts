import type { Socket } from 'node:net'
import { dialTarget } from './connect/dial-target.ts'
import { HOST_LOOPBACK_NAME } from './dns/host-name.ts'
import { ConnectionError, connectionErrorOf } from './connection-error.ts'
import type { DecisionLog } from './decision-log.ts'
import type { NameBindings } from './dns/name-bindings.ts'
import type { ConnectionFailure, ConnectionFailureCode, GuestConnection } from './guest-connection.ts'
import type { HostNetwork } from './host-network.ts'
import type { Lanes } from './lanes.ts'
import { readOpening } from './opening-gate.ts'
import { BUILT_IN_RULES } from './policy/built-in-rules.ts'
import { type AllowedTarget, judgeAddress } from './policy/judge-address.ts'
import { judgeTarget, type TargetDecision } from './policy/judge-target.ts'
import { judgeTls } from './policy/judge-tls.ts'
import type { Decision, NetworkPolicy } from './policy/network-policy.ts'
import { TLS_PORTS } from './policy/tls-ports.ts'
import { resetSocket } from './reset-socket.ts'
import { pumpToGuest, pumpToSocket } from './splice.ts'
import type { ClientOpening } from './tls/client-hello.ts'

/** What a connection needs of its sandbox. */
export interface FlowContext {
  /** The policy as it is now. */
  policy(): NetworkPolicy
  readonly bindings: NameBindings
  readonly host: HostNetwork
  readonly log: DecisionLog
  /** Slots for connections that are being opened. */
  readonly opening: Lanes
  readonly halfOpenIdleMs: number
}

/** Milliseconds in which a connection must stand, its wait for a slot included. */
const OPEN_TIMEOUT_MS = 30_000

/** Milliseconds for the ClientHello to be complete. */
const HELLO_TIMEOUT_MS = 10_000

/**
 * One connection of the guest, from its question to its end: judged, opened, its first bytes judged, carried. Whatever
 * ends it first is what the guest is told; its socket never outlives it.
 */
export class Flow {
  readonly #connection: GuestConnection
  readonly #context: FlowContext
  readonly #ended = new AbortController()
  #targets: readonly AllowedTarget[] = []
  #opening: ClientOpening | undefined
  #socket: Socket | undefined
  #isRefused = false

  constructor(connection: GuestConnection, context: FlowContext) {
    this.#connection = connection
    this.#context = context
  }

  /** Carries the connection to its end. Never rejects. */
  async run(): Promise<void> {
    const { signal } = this.#connection
    const onGone = (): void => this.end({ code: 'reset', message: 'the program has given the connection up' })
    signal.addEventListener('abort', onGone, { once: true })
    if (signal.aborted) onGone()
    try {
      const socket = await this.#open()
      this.#context.log.connectionOpened()
      try {
        await this.#carry(socket)
      } finally {
        this.#context.log.connectionEnded()
      }
      this.#connection.finish()
    } catch (error) {
      this.end(connectionErrorOf(error, 'reset'))
    } finally {
      signal.removeEventListener('abort', onGone)
      this.#socket?.destroy()
    }
  }

  /** Whether it was ended before its time: its socket is gone. */
  get hasEnded(): boolean {
    return this.#ended.signal.aborted
  }

  /** Ends it now with an error, unless it has ended: the guest is told, the peer gets a reset. */
  end(failure: ConnectionFailure): void {
    if (this.#ended.signal.aborted) return
    this.#ended.abort(new ConnectionError(failure.code, failure.message))
    this.#connection.finish({ code: failure.code, message: TOLD[failure.code] })
    if (this.#socket !== undefined) resetSocket(this.#socket)
  }

  /** A new policy holds: ends what it does not allow. What has not been judged yet will be judged by it anyway. */
  judgeAgain(): void {
    if (this.#targets.length === 0 || this.#ended.signal.aborted) return
    const judged = this.#targets.map((target) => ({ target, decision: this.#judge(target) }))
    const [first] = judged
    const allowed = judged.flatMap(({ target, decision }) =>
      decision.allowed ? [{ ...target, ground: decision.ground, rule: decision.rule }] : [],
    )
    if (allowed.length > 0) this.#targets = allowed
    else if (first !== undefined) this.#refuse('connect', first.decision, first.target.names)
  }

  /** By the policy of now, and by the first bytes if they have been seen. */
  #judge(target: AllowedTarget): TargetDecision {
    const policy = this.#context.policy()
    const decision = judgeTarget(policy, target)
    if (decision.allowed && this.#isHost({ ...target, ground: decision.ground })) return hostRefusal(decision)
    if (!decision.allowed || this.#opening === undefined) return decision
    const tls = judgeTls(policy, target, this.#opening)
    return tls.allowed ? decision : { ...tls, allowed: false }
  }

  /**
   * Whether a target is the host itself, by an address that is not special: a server of the host that listens everywhere
   * listens there too. Rules of addresses, and the host's own name, say that it is meant.
   */
  #isHost({ realAddress, names, ground }: AllowedTarget): boolean {
    if (ground === 'address' || names.includes(HOST_LOOPBACK_NAME)) return false
    return this.#context.host.ownAddresses().has(realAddress)
  }

  async #open(): Promise<Socket> {
    const context = this.#context
    const { address, port } = this.#connection
    const { signal } = this.#ended
    signal.throwIfAborted()
    const bound = context.bindings.lookup(address)
    const decision = judgeAddress(context.policy(), { address, port, bound })
    if (!decision.allowed) throw this.#refuse('connect', decision, bound?.names)
    context.bindings.touch(address)
    this.#targets = decision.targets.filter((target) => !this.#isHost(target))
    if (this.#targets.length === 0) throw this.#refuse('connect', hostRefusal(decision), bound?.names)
    const timer = setTimeout(
      () => this.end({ code: 'timed-out', message: `no connection within ${OPEN_TIMEOUT_MS} ms` }),
      OPEN_TIMEOUT_MS,
    ).unref()
    const dial = async (): Promise<Socket> => {
      const { socket, target } = await dialTarget(this.#targets, { ...context, policy: context.policy(), signal })
      this.#socket = socket
      this.#targets = [target]
      return socket
    }
    try {
      const socket = await context.opening.run(context.opening, dial, signal)
      // Between the answer of the peer and now the policy may have changed, or the guest may have gone.
      if (signal.aborted) resetSocket(socket)
      else this.judgeAgain()
      signal.throwIfAborted()
      return socket
    } catch (error) {
      const failure = signal.aborted
        ? connectionErrorOf(signal.reason, 'reset')
        : connectionErrorOf(error, 'unreachable')
      if (!this.#isRefused) context.log.connectionFailed(address, port, failure.message)
      throw failure
    } finally {
      clearTimeout(timer)
    }
  }

  // Settles when both directions have ended; throws what ended the connection before that.
  async #carry(socket: Socket): Promise<void> {
    const { signal } = this.#ended
    const connection = this.#connection
    const mustSpeak = this.#targets[0]?.ground === 'name' && TLS_PORTS.has(connection.port)
    // A peer of which nothing is known any more is none: `close` comes after both ends, or instead of them.
    socket.once('close', () => {
      if (socket.readableEnded && socket.writableFinished) return
      this.end(connectionErrorOf(socket.errored ?? new Error('the peer has closed the connection'), 'reset'))
    })
    socket.once('timeout', () => this.end({ code: 'timed-out', message: 'half open and idle for too long' }))
    connection.connected()
    const source = askedOnce(connection.readable()[Symbol.asyncIterator]())
    const judged = this.#passOpening(source, mustSpeak)
    const towardsPeer = async (): Promise<void> => {
      const first = await judged
      await pumpToSocket(source, socket, first, { signal, onBytes: (count) => this.#context.log.sent(count) })
      socket.setTimeout(this.#context.halfOpenIdleMs)
    }
    const towardsGuest = async (): Promise<void> => {
      // A server that speaks first is not kept waiting, unless no server of that port does.
      if (mustSpeak) await judged
      await pumpToGuest(socket, connection, { signal, onBytes: (count) => this.#context.log.received(count) })
      socket.setTimeout(this.#context.halfOpenIdleMs)
    }
    const broke = (error: unknown): void => this.end(connectionErrorOf(error, 'reset'))
    await Promise.all([towardsPeer().catch(broke), towardsGuest().catch(broke)])
    signal.throwIfAborted()
  }

  /** Waits for the first bytes and judges them. The bytes, which may go out now; none if the program has none to send. */
  async #passOpening(source: AsyncIterator<Uint8Array>, mustSpeak: boolean): Promise<Uint8Array> {
    const held = await readOpening(source, { mustSpeak, timeoutMs: HELLO_TIMEOUT_MS, signal: this.#ended.signal })
    if (held === 'silent' && mustSpeak) throw this.#endUnused()
    const { opening, bytes } = held === 'silent' ? NOTHING : held
    this.#opening = opening
    const [target] = this.#targets
    const decision = target === undefined ? undefined : this.#judge(target)
    if (decision?.allowed === false) {
      const name = opening.kind === 'tls' ? opening.serverName : undefined
      throw this.#refuse('tls', decision, name === undefined ? target?.names : [name])
    }
    return bytes
  }

  /** A program that only looked whether it could connect: nothing was sent, so nothing is refused. */
  #endUnused(): ConnectionError {
    const over = new ConnectionError('reset', 'closed without a byte')
    this.#ended.abort(over)
    this.#connection.end()
    this.#connection.finish()
    this.#socket?.destroy()
    return over
  }

  #refuse(kind: 'connect' | 'tls', { rule, reason }: Decision, names: readonly string[] = []): ConnectionError {
    const { address, port } = this.#connection
    const failure = new ConnectionError('refused', `${reason} (${rule})`)
    if (!this.#ended.signal.aborted) {
      this.#isRefused = true
      const name = names.length === 0 ? {} : { name: names.join(' ') }
      this.#context.log.refused({ kind, ...name, address, port, rule, reason })
    }
    this.end(failure)
    return failure
  }
}

/**
 * All that the guest learns of a failure: addresses behind a stand-in, the proxy's name and what it said are the host's own
 * affair. The log and the metrics have the rest.
 */
const TOLD: Readonly<Record<ConnectionFailureCode, string>> = {
  refused: 'the policy of this sandbox does not allow it',
  'connection-refused': 'the other side refuses connections',
  unreachable: 'there is no way to the other side',
  'timed-out': 'the other side does not answer in time',
  reset: 'the connection was reset',
  busy: 'too many connections',
}

function hostRefusal({ reason }: Decision): Decision & { readonly allowed: false } {
  const rule = BUILT_IN_RULES.ownAddress
  return { allowed: false, rule, reason: `the address is one of the host: a rule must have it (${reason})` }
}

const NOTHING = { opening: { kind: 'not-tls' }, bytes: new Uint8Array(0) } as const

/**
 * The same chunks, but who stops waiting for one has not taken it: asked again, the answer is the one that was waited for.
 * The first bytes may be waited for in vain and go out all the same.
 */
function askedOnce(source: AsyncIterator<Uint8Array>): AsyncIterator<Uint8Array> {
  let pending: Promise<IteratorResult<Uint8Array>> | undefined
  const answered = (): void => {
    pending = undefined
  }
  return {
    next: async () => {
      if (pending === undefined) {
        pending = source.next()
        pending.then(answered, answered)
      }
      return await pending
    },
  }
}
