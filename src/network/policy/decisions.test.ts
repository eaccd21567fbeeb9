import { describe, expect, test } from 'vitest'
import type { BoundAddress } from '../dns/name-bindings.ts'
import type { ClientOpening } from '../tls/client-hello.ts'
import { filterAnswers } from './filter-answers.ts'
import { judgeAddress } from './judge-address.ts'
import { BY_PROXY, judgeTarget } from './judge-target.ts'
import { judgeTls } from './judge-tls.ts'
import { mayResolve } from './may-resolve.ts'
import { parseNetworkPolicy } from './parse-network-policy.ts'

// The sentences of the specification, one after the other.

const PUBLIC = '93.184.216.34'
const HOST = 'host.exec-sandbox.internal'

type Options = boolean | { readonly allow?: readonly string[]; readonly deny?: readonly string[] }

/** What an address is bound to: `name` alone means itself. */
function bind(address: string, ...names: readonly string[]): BoundAddress {
  return { names, realAddresses: [address] }
}

/** The ground of an allowed connection, or the rule of a refused one. */
function connect(options: Options, address: string, port: number, bound?: BoundAddress): string {
  const decision = judgeAddress(parseNetworkPolicy(options), { address, port, bound })
  const [target] = decision.targets
  expect(decision.allowed).toBe(target !== undefined)
  return target === undefined ? `refused: ${decision.rule}` : `${target.ground}: ${target.rule}`
}

function resolve(options: Options, name: string): string {
  const decision = mayResolve(parseNetworkPolicy(options), name)
  return `${decision.allowed ? 'allowed' : 'refused'}: ${decision.rule}`
}

describe('connections', () => {
  const cases: readonly (readonly [
    sentence: string,
    Options,
    address: string,
    port: number,
    BoundAddress | undefined,
    expected: string,
  ])[] = [
    ['false is nothing', false, PUBLIC, 443, undefined, 'refused: network: false'],
    ['false is nothing, for names too', false, PUBLIC, 443, bind(PUBLIC, 'a.com'), 'refused: network: false'],
    ['true is everything public', true, PUBLIC, 1, undefined, 'any: network: true'],
    ['true is nothing private', true, '10.0.0.1', 443, undefined, 'refused: private'],
    ['deny alone is true minus deny', { deny: ['1.1.1.1'] }, PUBLIC, 80, undefined, 'any: network: true'],
    ['deny alone is true minus deny', { deny: ['1.1.1.1'] }, '1.1.1.1', 80, undefined, 'refused: 1.1.1.1'],
    ['an empty allow is nothing', { allow: [] }, PUBLIC, 443, undefined, 'refused: not allowed by any rule'],
    ['* is everything public', { allow: ['*'] }, PUBLIC, 443, undefined, 'any: *'],
    ['* is nothing private', { allow: ['*'] }, '192.168.1.1', 443, undefined, 'refused: private'],
    ['* with a port is that port', { allow: ['*:443'] }, PUBLIC, 443, undefined, 'any: *:443'],
    ['* with a port is that port', { allow: ['*:443'] }, PUBLIC, 80, undefined, 'refused: not allowed by any rule'],
    [
      'deny comes before allow',
      { allow: ['a.com'], deny: ['a.com'] },
      PUBLIC,
      80,
      bind(PUBLIC, 'a.com'),
      'refused: a.com',
    ],
    ['deny * with a port closes that port', { deny: ['*:25'] }, PUBLIC, 25, undefined, 'refused: *:25'],
    ['deny * with a port closes that port', { deny: ['*:25'] }, PUBLIC, 26, undefined, 'any: network: true'],
    [
      'deny closes blocks that allow opens',
      { allow: ['10.0.0.0/8'], deny: ['10.1.0.0/16'] },
      '10.1.2.3',
      80,
      undefined,
      'refused: 10.1.0.0/16',
    ],
    ['(a) an address rule', { allow: ['10.0.0.0/8:5432'] }, '10.9.9.9', 5432, undefined, 'address: 10.0.0.0/8:5432'],
    ['(a) on its port alone', { allow: ['10.0.0.0/8:5432'] }, '10.9.9.9', 5433, undefined, 'refused: private'],
    [
      '(a) a range of ports, first',
      { allow: ['10.0.0.1:8000-8099'] },
      '10.0.0.1',
      8000,
      undefined,
      'address: 10.0.0.1:8000-8099',
    ],
    [
      '(a) a range of ports, last',
      { allow: ['10.0.0.1:8000-8099'] },
      '10.0.0.1',
      8099,
      undefined,
      'address: 10.0.0.1:8000-8099',
    ],
    [
      '(a) a range of ports, behind',
      { allow: ['10.0.0.1:8000-8099'] },
      '10.0.0.1',
      8100,
      undefined,
      'refused: private',
    ],
    [
      '(a) also metadata, if it is covered',
      { allow: ['169.254.169.254'] },
      '169.254.169.254',
      80,
      undefined,
      'address: 169.254.169.254',
    ],
    ['(b) a name that led here', { allow: ['a.com'] }, PUBLIC, 22, bind(PUBLIC, 'a.com'), 'name: a.com'],
    [
      '(b) on its port alone',
      { allow: ['a.com:443'] },
      PUBLIC,
      80,
      bind(PUBLIC, 'a.com'),
      'refused: not allowed by any rule',
    ],
    ['(b) no raw address', { allow: ['a.com'] }, PUBLIC, 443, undefined, 'refused: not allowed by any rule'],
    ['(b) no other name', { allow: ['a.com'] }, PUBLIC, 443, bind(PUBLIC, 'b.com'), 'refused: not allowed by any rule'],
    ['(b) one of several names', { allow: ['a.com'] }, PUBLIC, 443, bind(PUBLIC, 'b.com', 'a.com'), 'name: a.com'],
    ['(b) a wildcard', { allow: ['*.a.com'] }, PUBLIC, 443, bind(PUBLIC, 'x.y.a.com'), 'name: *.a.com'],
    [
      '(b) a wildcard is subdomains only',
      { allow: ['*.a.com'] },
      PUBLIC,
      443,
      bind(PUBLIC, 'a.com'),
      'refused: not allowed by any rule',
    ],
    [
      '(b) a wildcard ends at a dot',
      { allow: ['*.a.com'] },
      PUBLIC,
      443,
      bind(PUBLIC, 'xa.com'),
      'refused: not allowed by any rule',
    ],
    [
      'a name is not its subdomains',
      { allow: ['a.com'] },
      PUBLIC,
      443,
      bind(PUBLIC, 'www.a.com'),
      'refused: not allowed by any rule',
    ],
    [
      'deny by any bound name',
      { allow: ['*'], deny: ['b.com:443'] },
      PUBLIC,
      443,
      bind(PUBLIC, 'a.com', 'b.com'),
      'refused: b.com:443',
    ],
    [
      'deny by a wildcard',
      { allow: ['*'], deny: ['*.b.com'] },
      PUBLIC,
      443,
      bind(PUBLIC, 'x.b.com'),
      'refused: *.b.com',
    ],
    ['rebinding', { allow: ['a.com'] }, '10.0.0.1', 80, bind('10.0.0.1', 'a.com'), 'refused: private'],
    [
      'rebinding under *',
      { allow: ['*'] },
      '169.254.169.254',
      80,
      bind('169.254.169.254', 'a.com'),
      'refused: metadata',
    ],
    [
      'a name into a block that is allowed',
      { allow: ['a.com', '10.0.0.0/8'] },
      '10.0.0.1',
      80,
      bind('10.0.0.1', 'a.com'),
      'address: 10.0.0.0/8',
    ],
    [
      'a block’s port does not open others to names',
      { allow: ['a.com', '10.0.0.0/8:443'] },
      '10.0.0.1',
      80,
      bind('10.0.0.1', 'a.com'),
      'refused: private',
    ],
    ['the guest’s own net', { allow: ['*'] }, '100.64.0.1', 80, undefined, 'refused: carrier-grade NAT'],
    [
      'a stand-in of nothing',
      { allow: ['*'] },
      '198.18.0.1',
      80,
      undefined,
      'refused: stand-in address without a name',
    ],
    [
      'a stand-in is judged by what is behind it',
      { allow: ['a.com'] },
      '198.18.0.1',
      443,
      bind('2606:4700::1', 'a.com'),
      'name: a.com',
    ],
    [
      'a stand-in of loopback',
      { allow: ['a.com', '198.18.0.0/15'] },
      '198.18.0.1',
      80,
      bind('127.0.0.1', 'a.com'),
      'refused: loopback',
    ],
    [
      'a stand-in of a denied address',
      { deny: ['2606:4700::/32'] },
      '198.18.0.1',
      443,
      bind('2606:4700::1', 'a.com'),
      'refused: 2606:4700::/32',
    ],
    ['not an address', { allow: ['*'] }, '127.1', 80, undefined, 'refused: malformed'],
    ['not a dotted quad', { allow: ['*'] }, '::1', 80, undefined, 'refused: malformed'],
    ['no port 0', { allow: ['*'] }, PUBLIC, 0, undefined, 'refused: malformed'],
    ['no port 65536', { allow: ['*'] }, PUBLIC, 65_536, undefined, 'refused: malformed'],
    ['no half port', { allow: ['*'] }, PUBLIC, 80.5, undefined, 'refused: malformed'],
  ]
  test.for(cases)('%s: %j → %s:%i', ([, options, address, port, bound, expected]) => {
    expect(connect(options, address, port, bound)).toBe(expected)
  })

  test('every rule of a kind is tried, address rules before *, * before names', () => {
    const options = { allow: ['a.com', '*', `${PUBLIC}:80`] }
    expect(connect(options, PUBLIC, 80, bind(PUBLIC, 'a.com'))).toBe(`address: ${PUBLIC}:80`)
    expect(connect(options, PUBLIC, 81, bind(PUBLIC, 'a.com'))).toBe('any: *')
  })

  test('of several real addresses those that are permitted are targets, in their order', () => {
    const policy = parseNetworkPolicy({ allow: ['a.com'], deny: ['2606:4700::2'] })
    const bound = { names: ['a.com'], realAddresses: ['::1', '2606:4700::3', '2606:4700::2', '2606:4700::1'] }
    const { targets, rule } = judgeAddress(policy, { address: '198.18.0.1', port: 443, bound })
    expect(targets.map(({ realAddress }) => realAddress)).toEqual(['2606:4700::3', '2606:4700::1'])
    expect(rule).toBe('a.com')
  })

  test.for([
    ['::ffff:10.0.0.1', 'private'],
    ['64:ff9b::10.0.0.1', 'private'],
    ['2002:a00:1::1', 'private'],
    ['::127.0.0.1', 'loopback'],
  ] as const)('%s is refused for the address inside, and opened and closed by rules for it', ([realAddress, range]) => {
    const inner = range === 'private' ? '10.0.0.0/8' : '127.0.0.0/8'
    const judge = (options: Options): string =>
      judgeTarget(parseNetworkPolicy(options), { realAddress, port: 80, names: ['a.com'] }).rule
    expect(judge({ allow: ['*'] })).toBe(range)
    expect(judge({ allow: [inner] })).toBe(inner)
    expect(judge({ allow: ['0.0.0.0/0', '::/0'], deny: [inner] })).toBe(inner)
  })

  test('a Teredo address is opened by a rule only if it covers server and client', () => {
    // Server 10.0.0.1, client 192.168.0.1.
    const question = { realAddress: '2001:0:a00:1::3f57:fffe', port: 80, names: [] }
    const judge = (...allow: string[]): boolean => judgeTarget(parseNetworkPolicy({ allow }), question).allowed
    expect([judge('10.0.0.0/8'), judge('192.168.0.0/16'), judge('0.0.0.0/0')]).toEqual([false, false, false])
  })

  test.each([
    ['127.0.0.1', 'loopback', '127.0.0.1/32', '126.0.0.0/7'],
    ['10.1.2.3', 'private', '10.0.0.0/8', '8.0.0.0/5'],
    ['169.254.1.1', 'link-local', '169.254.0.0/16', '0.0.0.0/0'],
    ['169.254.169.254', 'metadata', '169.254.169.254', '169.254.0.0/16'],
    ['::1', 'loopback', '::1', '::/0'],
    ['fd00::1', 'private', 'fc00::/7', 'f000::/4'],
    ['4000::1', 'reserved', '4000::/3', '::/0'],
    ['64:ff9b::10.0.0.1', 'private', '10.0.0.0/8', '64:ff9b::/96'],
  ])('%s is opened by a block within the %s range, %s, and not by %s', (realAddress, range, within, wider) => {
    const judge = (allow: string): string =>
      judgeTarget(parseNetworkPolicy({ allow: [allow] }), { realAddress, port: 80, names: [] }).rule
    expect(judge(within)).toBe(within)
    expect(judge(wider)).toBe(range)
  })

  test('a reason names what was asked for and says what would allow it', () => {
    const policy = parseNetworkPolicy({ allow: ['a.com'] })
    const reasons = [
      judgeAddress(policy, { address: '10.0.0.1', port: 80, bound: bind('10.0.0.1', 'a.com') }).reason,
      judgeAddress(policy, { address: PUBLIC, port: 80, bound: undefined }).reason,
      judgeTarget(policy, { realAddress: '2002:a00:1::1', port: 80, names: [] }).reason,
    ]
    expect(reasons).toEqual([
      'a.com:80 (10.0.0.1) is not public but private: only a rule with an address or a block within that range allows it',
      `no rule allows ${PUBLIC}:80, and no allowed name led to this address`,
      '[2002:a00:1::1]:80 is not public but private (by 10.0.0.1 inside it): only a rule with an address or a block within that range allows it',
    ])
  })
})

describe('the host’s own name', () => {
  const bound = bind('127.0.0.1', HOST)
  test.for([
    [{ allow: [HOST] }, 8000, `name: ${HOST}`],
    [{ allow: [`${HOST}:8000`] }, 8000, `name: ${HOST}:8000`],
    [{ allow: [`${HOST}:8000`] }, 8001, 'refused: host name'],
    [true, 8000, 'refused: host name'],
    [{ allow: ['*'] }, 8000, 'refused: host name'],
    [{ allow: ['*.exec-sandbox.internal', '*.internal'] }, 8000, 'refused: host name'],
    [{ allow: [HOST], deny: [HOST] }, 8000, `refused: ${HOST}`],
    [{ allow: [HOST], deny: ['*.internal:8000'] }, 8000, 'refused: *.internal:8000'],
    [{ allow: [HOST], deny: ['127.0.0.0/8'] }, 8000, 'refused: 127.0.0.0/8'],
    [{ allow: [HOST], deny: ['*'] }, 8000, 'refused: *'],
  ] as const)('%j on port %i: %s', ([options, port, expected]) => {
    expect(connect(options, '198.18.0.1', port, bound)).toBe(expected)
  })

  test('it means 127.0.0.1 and nothing else, and no other name means that', () => {
    expect(connect({ allow: [HOST, '*'] }, '198.18.0.1', 80, bind(PUBLIC, HOST))).toBe('refused: host name')
    expect(connect({ allow: [HOST] }, '198.18.0.1', 80, bind('127.0.0.2', HOST))).toBe('refused: host name')
    expect(connect({ allow: [HOST, 'a.com'] }, '198.18.0.1', 80, bind('127.0.0.1', 'a.com'))).toBe('refused: loopback')
    expect(connect({ allow: [HOST] }, '127.0.0.1', 80)).toBe('refused: loopback')
  })
})

describe('names', () => {
  test.for([
    [false, 'a.com', 'refused: network: false'],
    [true, 'a.com', 'allowed: network: true'],
    [true, 'A.com.', 'allowed: network: true'],
    [true, 'localhost', 'allowed: network: true'],
    [true, HOST, 'refused: host name'],
    [{ allow: ['*'] }, 'a.com', 'allowed: *'],
    [{ allow: [] }, 'a.com', 'refused: not allowed by any rule'],
    [{ allow: ['a.com:443'] }, 'a.com', 'allowed: a.com:443'],
    [{ allow: ['a.com'] }, 'b.com', 'refused: not allowed by any rule'],
    [{ allow: ['a.com'] }, 'www.a.com', 'refused: not allowed by any rule'],
    [{ allow: ['*.a.com'] }, 'x.y.a.com', 'allowed: *.a.com'],
    [{ allow: ['*.a.com'] }, 'a.com', 'refused: not allowed by any rule'],
    [{ allow: ['10.0.0.0/8', '0.0.0.0/0'] }, 'a.com', 'refused: not allowed by any rule'],
    [{ allow: ['bücher.de'] }, 'xn--bcher-kva.de', 'allowed: bücher.de'],
    [{ deny: ['a.com'] }, 'a.com', 'refused: a.com'],
    [{ deny: ['*.a.com'] }, 'x.a.com', 'refused: *.a.com'],
    [{ deny: ['a.com:443'] }, 'a.com', 'allowed: network: true'],
    [{ deny: ['*'] }, 'a.com', 'refused: *'],
    [{ deny: ['0.0.0.0/0', '::/0'] }, 'a.com', 'allowed: network: true'],
    [{ allow: ['a.com:443'], deny: ['a.com:443'] }, 'a.com', 'refused: a.com:443'],
    [{ allow: ['a.com:80-90'], deny: ['a.com:80-84', '*:85-90'] }, 'a.com', 'refused: a.com:80-84'],
    [{ allow: ['a.com:80-90'], deny: ['a.com:80-84', '*:86-90'] }, 'a.com', 'allowed: a.com:80-90'],
    [{ allow: ['a.com:80-90'], deny: ['*:81-95', 'a.com:70-79'] }, 'a.com', 'allowed: a.com:80-90'],
    [{ allow: [`${HOST}:80`] }, HOST, `allowed: ${HOST}:80`],
    [{ allow: ['*.exec-sandbox.internal', '*'] }, HOST, 'refused: host name'],
    [true, '127.0.0.1', 'refused: malformed'],
    [true, '0x7f.1', 'refused: malformed'],
    [true, 'a..com', 'refused: malformed'],
    [true, '', 'refused: malformed'],
    [true, 'a\0.com', 'refused: malformed'],
  ] as const)('%j: %s is %s', ([options, name, expected]) => {
    expect(resolve(options, name)).toBe(expected)
  })

  function answers(options: Options, ...addresses: readonly string[]): readonly string[] {
    const { addresses: kept, refused } = filterAnswers(parseNetworkPolicy(options), 'a.com', addresses)
    return [...kept, ...refused.map(({ address, rule }) => `${address} ${rule}`)]
  }

  test('answers that the policy forbids are left out', () => {
    expect(answers({ allow: ['a.com'] }, PUBLIC, '10.0.0.1', '2606:4700:0::1', '::1', PUBLIC)).toEqual([
      ...[PUBLIC, '2606:4700::1', '10.0.0.1 private', '::1 loopback'],
    ])
    expect(answers({ allow: ['a.com'], deny: [PUBLIC] }, PUBLIC, '1.1.1.1')).toEqual(['1.1.1.1', `${PUBLIC} ${PUBLIC}`])
    expect(answers({ allow: ['a.com'], deny: [`${PUBLIC}:80`] }, PUBLIC)).toEqual([PUBLIC])
    expect(answers({ allow: ['a.com:80'], deny: [`${PUBLIC}:80`] }, PUBLIC)).toEqual([`${PUBLIC} ${PUBLIC}:80`])
    expect(answers({ allow: ['a.com', '10.0.0.0/8:443'] }, '10.0.0.1', '192.168.0.1')).toEqual([
      '10.0.0.1',
      '192.168.0.1 private',
    ])
    expect(answers({ allow: ['a.com'] }, 'fe80::1%eth0', 'proxy', '1.1.1')).toEqual([
      ...['fe80::1%eth0 malformed', 'proxy malformed', '1.1.1 malformed'],
    ])
    expect(answers(false, PUBLIC)).toEqual([`${PUBLIC} network: false`])
    expect(answers({ allow: ['a.com'] }, '::ffff:1.1.1.1')).toEqual(['1.1.1.1'])
  })
})

describe('names that a proxy resolves', () => {
  test.for([
    [true, 'a.com', 'any: network: true'],
    [{ allow: ['a.com'] }, 'a.com', 'name: a.com'],
    [{ allow: ['0.0.0.0/0', '::/0'] }, 'a.com', 'refused: not allowed by any rule'],
    [{ deny: ['a.com:443'] }, 'a.com', 'refused: a.com:443'],
    [true, 'metadata.google.internal', 'refused: names of the proxy’s own network'],
    [{ allow: ['metadata.google.internal'] }, 'metadata.google.internal', 'name: metadata.google.internal'],
    [{ allow: ['*.local'] }, 'printer.local', 'name: *.local'],
    [true, 'printer.local', 'refused: names of the proxy’s own network'],
    [true, 'intranet', 'refused: names of the proxy’s own network'],
    [true, 'nas.home.arpa', 'refused: names of the proxy’s own network'],
    [true, 'mylocal.com', 'any: network: true'],
    [{ allow: ['localhost', '*.localhost'] }, 'localhost', 'refused: names of the proxy’s own network'],
    [{ allow: ['localhost', '*.localhost'] }, 'x.localhost', 'refused: names of the proxy’s own network'],
    [{ allow: [HOST] }, HOST, 'refused: host name'],
  ] as const)('%j: %s is %s', ([options, name, expected]) => {
    expect(connect(options, '198.18.0.1', 443, bind(BY_PROXY, name))).toBe(expected)
  })

  test('without a name there is nothing to ask a proxy for', () => {
    const policy = parseNetworkPolicy(true)
    expect(judgeTarget(policy, { realAddress: BY_PROXY, port: 443, names: [] })).toMatchObject({ rule: 'malformed' })
  })
})

describe('TLS', () => {
  const to = (serverName?: string): ClientOpening => ({ kind: 'tls', serverName, ech: false })
  const plain: ClientOpening = { kind: 'not-tls' }
  const broken: ClientOpening = { kind: 'malformed', why: 'for the test' }
  const byName = { allow: ['a.com', '*.b.com:443', 'c.com:80'] }
  const cases: readonly (readonly [
    string,
    Options,
    port: number,
    names: readonly string[],
    ClientOpening,
    expected: string,
  ])[] = [
    ['a name that led here', byName, 443, ['a.com'], to('a.com'), 'allowed: a.com'],
    ['a wildcard that led here', byName, 443, ['x.b.com'], to('x.b.com'), 'allowed: *.b.com:443'],
    ['one of several', byName, 443, ['a.com', 'x.b.com'], to('x.b.com'), 'allowed: *.b.com:443'],
    ['no name', byName, 443, ['a.com'], to(), 'refused: TLS without a server name'],
    ['no name on another port', byName, 22, ['a.com'], to(), 'refused: TLS without a server name'],
    ['another name', byName, 443, ['a.com'], to('evil.com'), 'refused: not allowed by any rule'],
    ['another name on another port', byName, 22, ['a.com'], to('evil.com'), 'refused: not allowed by any rule'],
    [
      'a name allowed on another port',
      byName,
      443,
      ['a.com', 'c.com'],
      to('c.com'),
      'refused: not allowed by any rule',
    ],
    [
      'an allowed name that did not lead here',
      byName,
      443,
      ['a.com'],
      to('x.b.com'),
      'refused: TLS server name not resolved to this address',
    ],
    ['no TLS on a TLS port', byName, 443, ['a.com'], plain, 'refused: not TLS on a TLS port'],
    ['no TLS on another port', byName, 22, ['a.com'], plain, 'allowed: a.com'],
    ['what cannot be read', byName, 443, ['a.com'], broken, 'refused: malformed TLS'],
    ['what cannot be read, on another port', byName, 22, ['a.com'], broken, 'refused: malformed TLS'],
    ['no target, no TLS', byName, 443, [], to('a.com'), 'refused: not allowed by any rule'],
    ['an address rule asks no name', { allow: [PUBLIC] }, 443, [], to(), `allowed: ${PUBLIC}`],
    ['an address rule asks no TLS', { allow: [PUBLIC] }, 443, [], plain, `allowed: ${PUBLIC}`],
    ['an address rule takes any name', { allow: [PUBLIC] }, 443, [], to('any.com'), `allowed: ${PUBLIC}`],
    [
      'an address rule, and deny by name',
      { allow: [PUBLIC], deny: ['*.com'] },
      443,
      [],
      to('any.com'),
      'refused: *.com',
    ],
    ['* asks no name', { allow: ['*'] }, 443, [], to(), 'allowed: *'],
    ['* asks no TLS', { allow: ['*'] }, 443, [], plain, 'allowed: *'],
    ['true takes any name', true, 443, ['a.com'], to('b.com'), 'allowed: network: true'],
    ['true, and deny by name', { deny: ['b.com'] }, 443, [], to('b.com'), 'refused: b.com'],
    ['deny by name on this port', { deny: ['b.com:443'] }, 443, [], to('b.com'), 'refused: b.com:443'],
    ['deny by name on another port', { deny: ['b.com:444'] }, 443, [], to('b.com'), 'allowed: network: true'],
    ['unreadable, nothing to hide from', true, 443, [], broken, 'allowed: network: true'],
    [
      'unreadable, nothing to hide from on this port',
      { deny: ['b.com:444', '1.1.1.1'] },
      443,
      [],
      broken,
      'allowed: network: true',
    ],
    ['unreadable, may hide from a deny rule', { deny: ['b.com'] }, 443, [], broken, 'refused: malformed TLS'],
    [
      'ECH by its outer name',
      byName,
      443,
      ['a.com'],
      { kind: 'tls', serverName: 'a.com', ech: true },
      'allowed: a.com',
    ],
    ['off', false, 443, ['a.com'], to('a.com'), 'refused: network: false'],
  ]
  test.for(cases)('%s', ([, options, port, names, opening, expected]) => {
    const decision = judgeTls(parseNetworkPolicy(options), { realAddress: PUBLIC, port, names }, opening)
    expect(`${decision.allowed ? 'allowed' : 'refused'}: ${decision.rule}`).toBe(expected)
  })

  test.for([443, 465, 563, 636, 853, 989, 990, 992, 993, 994, 995, 5061, 6697, 8443])(
    'port %i is a TLS port',
    (port) => {
      const target = { realAddress: PUBLIC, port, names: ['a.com'] }
      expect(judgeTls(parseNetworkPolicy({ allow: ['a.com'] }), target, plain).allowed).toBe(false)
    },
  )
})
