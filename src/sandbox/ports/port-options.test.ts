import { describe, expect, test } from 'vitest'
import { checkPort, checkPorts, type PortOption } from './port-options.ts'

describe('the option ports', () => {
  test('takes numbers and pairs; a port of the host that is not named is the kernel’s choice', () => {
    expect(checkPorts(undefined)).toEqual([])
    expect(checkPorts([80, { guest: 81 }, { guest: 82, host: 8082 }])).toEqual([
      { guest: 80, host: 0 },
      { guest: 81, host: 0 },
      { guest: 82, host: 8082 },
    ])
    const fifty = Array.from({ length: 50 }, (_, index) => 65_535 - index)
    expect(checkPorts(fifty)).toHaveLength(50)
  })

  test.each<[unknown, string, RegExp]>([
    [[0], 'ports.0', /expected a port from 1 to 65535/],
    [[65_536], 'ports.0', /expected a port from 1 to 65535/],
    [[80.5], 'ports.0', /expected a port from 1 to 65535/],
    [['80'], 'ports.0', /expected a port from 1 to 65535, or .*, got "80"/],
    [[80, { guest: 0 }], 'ports.1.guest', /expected a port from 1 to 65535, got 0/],
    [[{ guest: 80, host: 65_536 }], 'ports.0.host', /expected a port from 1 to 65535, got 65536/],
    [[{ host: 80 }], 'ports.0', /expected a port from .*, got an object/],
    [[{ guest: 80, address: '0.0.0.0' }], 'address', /unknown option "address"/],
    [80, 'ports', /array/],
    [Array.from({ length: 51 }, (_, index) => index + 1), 'ports', /at most 50/],
    [[80, { guest: 80, host: 90 }], 'ports[1]', /guest port 80 again/],
    [[{ guest: 80, host: 90 }, 1, { guest: 81, host: 90 }], 'ports[2]', /host port 90 again/],
  ])('refuses %j', (ports, field, message) => {
    expect(() => checkPorts(ports as readonly PortOption[])).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', details: { field }, message: expect.stringMatching(message) }),
    )
  })

  test('one of them', () => {
    expect(checkPort({ guest: 1 })).toEqual({ guest: 1, host: 0 })
    expect(() => checkPort(70_000)).toThrow(
      expect.objectContaining({ code: 'INVALID_INPUT', details: { field: 'port' } }),
    )
  })
})
