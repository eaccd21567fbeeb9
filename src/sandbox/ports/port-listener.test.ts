import { connect, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { endOf, isFree, occupiedPort } from '../../../test/vm/port-clients.ts'
import { closeListeners, openListeners, PortListener } from './port-listener.ts'

const FREE = { guest: 80, host: 0 }

describe('a listener', () => {
  test('has a port that the kernel chose, on 127.0.0.1 alone', async () => {
    const listener = await PortListener.open(FREE, 'port')
    const { guest, host, url } = listener.port
    expect({ guest, url }).toEqual({ guest: 80, url: `http://127.0.0.1:${host}` })
    expect(await endOf(connect(host, '127.0.0.2'))).toBe('ECONNREFUSED')
    await listener.close()
    expect(await isFree(host)).toBe(true)
  })

  test('resets who comes before anybody takes connections', async () => {
    const listener = await PortListener.open(FREE, 'port')
    expect(await endOf(connect(listener.port.host, '127.0.0.1'))).toBe('ECONNRESET')
    await listener.close()
  })

  test('hands connections over, and resets them when it is closed, twice or once', async () => {
    const listener = await PortListener.open(FREE, 'port')
    const taken: Socket[] = []
    const client = connect(listener.port.host, '127.0.0.1')
    await new Promise<void>((resolve) => {
      listener.attach((socket) => {
        taken.push(socket)
        resolve()
      })
    })
    const ended = endOf(client)
    await Promise.all([listener.close(), listener.close()])
    expect(await ended).toBe('ECONNRESET')
    expect(taken[0]?.destroyed).toBe(true)
    await listener.close()
  })

  test('names the port of the host that is in use', async () => {
    await using other = await occupiedPort()
    const wanted = { guest: 80, host: other.port }
    await expect(PortListener.open(wanted, 'port')).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { field: 'port' },
      message: `port: expected a free port of 127.0.0.1, got ${other.port}, which is in use`,
    })
  })

  test('is not left behind when another of its sandbox could not be opened', async () => {
    await using other = await occupiedPort()
    const [free] = await openListeners([FREE])
    const host = free?.port.host ?? 0
    await closeListeners(free === undefined ? [] : [free])
    const open = openListeners([
      { guest: 1, host },
      { guest: 2, host: other.port },
    ])
    await expect(open).rejects.toMatchObject({ details: { field: 'ports[1]' } })
    expect(await isFree(host)).toBe(true)
  })
})
