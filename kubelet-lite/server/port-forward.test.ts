import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { portForward } from './port-forward.ts'
import type { Target } from './target.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

async function listening<T extends ReturnType<typeof createTcpServer>>(server: T): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

/** A WebSocket to a pod whose ports are this machine's; the connection to one is handed out before it stands. */
async function aForward(port: number): Promise<{ data(): string; error(): string; closed: Promise<unknown> }> {
  const runtime = { connectPort: async () => connect({ host: '127.0.0.1', port, allowHalfOpen: true }) }
  const clock = { sleep: async () => {} }
  const target = { options: { runtime, clock }, pod: { metadata: { name: 'web' } } } as unknown as Target
  const server = createServer().on('upgrade', (request, socket, head) => {
    void portForward(target, { request, socket, head })
  })
  const client = new WebSocket(`ws://127.0.0.1:${await listening(server)}/?port=${port}`, ['v4.channel.k8s.io'])
  const messages: Buffer[] = []
  client.on('message', (message) => messages.push(message as Buffer))
  closing.push(() => {
    client.terminate()
    server.close()
  })
  await once(client, 'open')
  // Each channel begins with the port, in two bytes.
  const of = (channel: number) =>
    Buffer.concat(messages.filter((each) => each[0] === channel).map((each) => each.subarray(1)))
      .subarray(2)
      .toString()
  return { data: () => of(0), error: () => of(1), closed: once(client, 'close') }
}

describe('portForward', () => {
  it('a port where nobody listens: the client is told, also when that is known only after the connection began', async () => {
    const silent = createTcpServer()
    const port = await listening(silent)
    silent.close()
    const { error } = await aForward(port)
    await expect
      .poll(error)
      .toMatch(new RegExp(`^error forwarding port ${port} to pod web: .*ECONNREFUSED 127.0.0.1:${port}$`))
  })

  it('what the pod ends is no error', async () => {
    const speaker = createTcpServer((socket) => socket.end('all'))
    closing.push(() => speaker.close())
    const { data, error } = await aForward(await listening(speaker))
    await expect.poll(data).toBe('all')
    expect(error()).toBe('')
  })
})
