import { describe, expect, it } from 'vitest'
import { type Jail, renderJailArguments } from './jail-arguments.ts'

const byUser: Jail = {
  program: {
    kind: 'tree',
    named: false,
    root: '/home/me/.cache/exec-sandbox/runtime',
    binary: '/usr/bin/qemu-system-x86_64',
  },
  files: [
    { host: '/images/vmlinux', jailed: '/run/vm/kernel' },
    { host: '/images/root.erofs', jailed: '/run/vm/root' },
  ],
  uid: undefined,
  dataBytes: 1_610_612_736,
}

const byRoot: Jail = { ...byUser, uid: 1_879_048_192 }

const ofHost: Jail = {
  ...byUser,
  program: {
    kind: 'host',
    named: true,
    binary: '/opt/qemu/bin/qemu-system-x86_64',
    directories: ['/usr', '/opt/qemu'],
  },
}

describe('renderJailArguments', () => {
  it.each([
    ['a normal user', byUser],
    ['root', byRoot],
    ['a QEMU of the host', ofHost],
  ])('is this for %s', (_, jail) => {
    expect(renderJailArguments(jail).join(' ').replaceAll(' --', '\n--')).toMatchSnapshot()
  })

  it.each([byUser, byRoot, ofHost])('binds nothing writable and no device', (jail) => {
    const words = renderJailArguments(jail)
    expect(words.filter((word) => /bind/.test(word)).every((word) => /^--ro-bind(-try)?$/.test(word))).toBe(true)
    for (const word of ['--dev', '--dev-bind', '--proc', '--share-net']) expect(words).not.toContain(word)
  })

  it('makes a user namespace exactly when it is not root', () => {
    expect(renderJailArguments(byUser)).toContain('--unshare-user')
    expect(renderJailArguments(byRoot)).not.toContain('--unshare-user')
    expect(renderJailArguments(byRoot).join(' ')).toContain('--reuid 1879048192 --regid 1879048192 --clear-groups')
  })
})
