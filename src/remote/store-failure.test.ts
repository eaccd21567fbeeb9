import { describe, expect, it } from 'vitest'
import { FAILURE_KINDS, FAILURE_WORDS, type FailureKind, storeFailure, StoreFailure } from './store-failure.ts'

const named = (name: string, status?: number): Error =>
  Object.assign(new Error('said so'), { name }, status === undefined ? {} : { $metadata: { httpStatusCode: status } })
const coded = (code: string, fields: object = {}): Error => Object.assign(new Error('said so'), { code }, fields)

describe('what an error says about a store', () => {
  it.each<[FailureKind, unknown]>([
    ['unreachable', coded('ECONNREFUSED', { syscall: 'connect' })],
    ['unreachable', coded('EACCES', { syscall: 'connect' })],
    ['unreachable', coded('ENOTFOUND', { syscall: 'getaddrinfo' })],
    ['unreachable', coded('SELF_SIGNED_CERT_IN_CHAIN')],
    ['unreachable', named('TimeoutError')],
    ['denied', named('AccessDenied', 403)],
    ['denied', named('ExpiredToken', 401)],
    ['denied', named('CredentialsProviderError')],
    ['misplaced', named('NoSuchBucket', 404)],
    ['misplaced', named('NotFound', 404)],
    ['misplaced', named('PermanentRedirect', 301)],
    ['misplaced', named('AuthorizationHeaderMalformed', 400)],
    ['failing', named('SlowDown', 503)],
    ['failing', named('InvalidRequest', 400)],
    ['lying', named('SyntaxError', 200)],
    ['local', coded('ENOSPC')],
    ['local', coded('EACCES', { syscall: 'open' })],
    ['unexpected', new TypeError('x is not a function')],
    ['unexpected', 'a string'],
    ['unexpected', undefined],
    ['slow', new StoreFailure('slow', 'silent')],
  ])('%s: %s', (kind, error) => {
    expect(storeFailure(error).kind).toBe(kind)
  })

  it('is kept short, with its cause', () => {
    const cause = new Error('x'.repeat(10_000))
    const failure = storeFailure(cause)
    expect(failure.message.length).toBeLessThan(400)
    expect(failure.cause).toBe(cause)
  })

  it('has words for each kind', () => {
    expect(Object.keys(FAILURE_WORDS).toSorted()).toEqual(FAILURE_KINDS.toSorted())
  })
})
