import fc from 'fast-check'
import { expect, test } from 'vitest'
import { addresses, names, policies, ports, textOf } from '../../../test/network/policy-arbitraries.ts'
import * as model from '../../../test/network/reference-policy.ts'
import { HOST_LOOPBACK_NAME } from '../dns/host-name.ts'
import type { ClientOpening } from '../tls/client-hello.ts'
import { BUILT_IN_RULES } from './built-in-rules.ts'
import { filterAnswers } from './filter-answers.ts'
import { judgeAddress } from './judge-address.ts'
import { judgeTarget } from './judge-target.ts'
import { judgeTls } from './judge-tls.ts'
import { mayResolve } from './may-resolve.ts'
import type { NetworkPolicy } from './network-policy.ts'
import { parseNetworkPolicy } from './parse-network-policy.ts'

/** Policies; each is asked `QUESTIONS` questions of each kind. */
const RUNS = 9_000
const QUESTIONS = 3
/** Some seconds of work each; on a loaded machine that takes many times as long. */
const TIMEOUT_MS = 180_000

/** Checks a policy as the product reads it against the model's. */
function parsed({ allow, deny }: model.ModelPolicy): NetworkPolicy {
  return parseNetworkPolicy({ allow: allow.map(({ text }) => text), deny: deny.map(({ text }) => text) })
}

/** How often each answer was given: a property that only ever sees refusals proves nothing. */
class Tally {
  readonly #counts = new Map<string, number>()

  add(key: string): void {
    this.#counts.set(key, this.of(key) + 1)
  }

  of(key: string): number {
    return this.#counts.get(key) ?? 0
  }

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0)
  }

  /** What came up fewer than `least` times. */
  rarerThan(least: number, keys: readonly string[]): string[] {
    return keys.filter((key) => this.of(key) < least)
  }
}

const questions = fc.record({
  address: fc.oneof({ weight: 9, arbitrary: addresses }, { weight: 1, arbitrary: fc.constant('proxy' as const) }),
  port: ports,
  names: fc.array(names, { maxLength: 3 }),
})
/** A proxy is asked for names alone. */
const targets = questions.filter(({ address, names: bound }) => address !== 'proxy' || bound.length > 0)

/** A question about what one of the allow rules is about, so that more than refusals is seen. */
function aimedAt({ allow }: model.ModelPolicy, question: model.ModelQuestion, aim: number): model.ModelQuestion {
  const rule = allow[aim]
  if (rule === undefined || rule.kind === 'any' || rule.kind === 'addresses') return question
  const name = rule.kind === 'name' ? rule.name : `www.${rule.name}`
  const port = rule.hasPorts ? rule.ports[1] : question.port
  return {
    address: name === HOST_LOOPBACK_NAME ? [127, 0, 0, 1] : [93, 184, 216, 34],
    port,
    names: [name, ...question.names],
  }
}

const realAddressOf = (address: model.ModelAddress | 'proxy'): string =>
  address === 'proxy' ? address : textOf(address)

const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.array(arbitrary, { minLength: QUESTIONS, maxLength: QUESTIONS })

test('targets are judged as by the model: the answer, the rule and the ground', { timeout: TIMEOUT_MS }, () => {
  const tally = new Tally()
  fc.assert(
    fc.property(policies, some(fc.tuple(targets, fc.nat({ max: 19 }))), (policy, asked) => {
      const subject = parsed(policy)
      for (const [random, aim] of asked) {
        const { address, port, names: bound } = aimedAt(policy, random, aim)
        const { reason, ...decision } = judgeTarget(subject, {
          realAddress: realAddressOf(address),
          port,
          names: bound,
        })
        expect(decision).toEqual(model.target(policy, { address, port, names: bound }))
        expect(reason).not.toBe('')
        tally.add(decision.allowed ? decision.ground : decision.rule)
      }
    }),
    { numRuns: RUNS },
  )
  expect(tally.total).toBe(RUNS * QUESTIONS)
  const seen = ['address', 'any', 'name', BUILT_IN_RULES.noRule, BUILT_IN_RULES.hostName, BUILT_IN_RULES.proxyOwnNames]
  expect(tally.rarerThan(RUNS / 100, seen)).toEqual([])
  const ranges = ['metadata', 'unspecified', 'loopback', 'private', 'link-local', 'carrier-grade NAT', 'benchmarking']
  const rare = ['this network', 'protocol assignments', 'multicast', 'broadcast', 'reserved', 'site-local']
  expect(tally.rarerThan(RUNS / 500, [...ranges, ...rare, 'local translation'])).toEqual([])
})

const openings = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 2 }) },
  { weight: 2, arbitrary: names },
  { weight: 2, arbitrary: fc.constantFrom('no name', 'not tls', 'malformed') },
)

function openingOf(text: string): ClientOpening {
  if (text === 'not tls') return { kind: 'not-tls' }
  if (text === 'malformed') return { kind: 'malformed', why: 'for the test' }
  return { kind: 'tls', serverName: text === 'no name' ? undefined : text, ech: false }
}

test('TLS is judged as by the model', { timeout: TIMEOUT_MS }, () => {
  const tally = new Tally()
  fc.assert(
    fc.property(policies, some(fc.tuple(targets, openings, fc.nat({ max: 9 }))), (policy, asked) => {
      const subject = parsed(policy)
      for (const [random, chosen, aim] of asked) {
        const question = aimedAt(policy, random, aim)
        const opening = typeof chosen === 'string' ? chosen : (question.names[chosen] ?? 'no name')
        const realAddress = realAddressOf(question.address)
        const decision = judgeTls(subject, { ...question, realAddress }, openingOf(opening))
        expect(decision.allowed).toBe(model.tls(policy, question, opening))
        const before = model.target(policy, question)
        if (before.allowed) tally.add(`${before.ground} ${decision.allowed ? 'allowed' : decision.rule}`)
        else tally.add('refused before')
      }
    }),
    { numRuns: RUNS },
  )
  expect(tally.total).toBe(RUNS * QUESTIONS)
  const byName = [
    BUILT_IN_RULES.notTls,
    BUILT_IN_RULES.malformedTls,
    BUILT_IN_RULES.serverNameMissing,
    BUILT_IN_RULES.noRule,
  ]
  const seen = ['address allowed', 'any allowed', 'name allowed', ...byName.map((rule) => `name ${rule}`)]
  expect(tally.rarerThan(10, [...seen, `name ${BUILT_IN_RULES.serverNameUnbound}`])).toEqual([])
})

test('names are resolved, and answers kept, exactly if some port would be permitted', { timeout: TIMEOUT_MS }, () => {
  const tally = new Tally()
  fc.assert(
    fc.property(policies, some(fc.tuple(names, addresses)), (policy, asked) => {
      const subject = parsed(policy)
      for (const [name, address] of asked) {
        const resolved = mayResolve(subject, name)
        expect(resolved.allowed).toBe(model.resolvable(policy, name))
        tally.add(`resolve ${resolved.allowed}`)
        const { addresses: kept, refused } = filterAnswers(subject, name, [textOf(address)])
        expect(kept.length).toBe(model.answerable(policy, name, address) ? 1 : 0)
        expect(refused.length).toBe(1 - kept.length)
        tally.add(`answer ${kept.length}`)
      }
    }),
    { numRuns: RUNS },
  )
  expect(tally.total).toBe(2 * RUNS * QUESTIONS)
  expect(tally.rarerThan(RUNS / 10, ['resolve true', 'resolve false', 'answer 0', 'answer 1'])).toEqual([])
})

test('what the guest connects to is allowed exactly if one of the real targets is, and leads to those alone', {
  timeout: TIMEOUT_MS,
}, () => {
  fc.assert(
    fc.property(
      policies,
      names,
      fc.array(addresses, { minLength: 1, maxLength: 4 }),
      ports,
      (policy, name, real, port) => {
        const bound = { names: [name], realAddresses: real.map(textOf) }
        const decision = judgeAddress(parsed(policy), { address: '198.18.0.9', port, bound })
        const expected = real
          .filter((address) => model.target(policy, { address, port, names: [name] }).allowed)
          .map(textOf)
        expect(decision.targets.map(({ realAddress }) => realAddress)).toEqual(expected)
        expect(decision.allowed).toBe(expected.length > 0)
      },
    ),
    { numRuns: RUNS },
  )
})

test('a deny rule more never allows more', { timeout: TIMEOUT_MS }, () => {
  fc.assert(
    fc.property(policies, policies, targets, ({ allow, deny }, other, question) => {
      const asked = { ...question, realAddress: realAddressOf(question.address) }
      const less = judgeTarget(parsed({ enabled: true, allow, deny: [...deny, ...other.deny] }), asked)
      if (less.allowed) expect(judgeTarget(parsed({ enabled: true, allow, deny }), asked).allowed).toBe(true)
    }),
    { numRuns: RUNS },
  )
})

test('nothing a guest says makes a decision throw', { timeout: TIMEOUT_MS }, () => {
  const policy = parseNetworkPolicy({ allow: ['*', 'a.com:443', '10.0.0.0/8'], deny: ['b.com', '*.c.com:443'] })
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.ipV6(), fc.ipV4(), fc.domain(), names)
  fc.assert(
    fc.property(text, fc.array(text, { maxLength: 2 }), fc.double(), (address, bound, port) => {
      const decisions = [
        mayResolve(policy, address),
        judgeAddress(policy, { address, port, bound: { names: bound, realAddresses: [address] } }),
        judgeTls(policy, { realAddress: address, port, names: bound }, { kind: 'not-tls' }),
        ...filterAnswers(policy, address, bound).refused,
      ]
      for (const { rule, reason } of decisions) expect([typeof rule, typeof reason]).toEqual(['string', 'string'])
    }),
    { numRuns: RUNS },
  )
})
