import { once } from 'node:events'
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import WebSocket from 'ws'
import { SpdyClient } from '../../../test/fixtures/spdy-client.ts'
import { acceptPortForward, type PortForwardSession } from './port-forward.ts'
import { acceptRemoteCommand } from './remote-command.ts'
import type { RemoteCommandStreams, WantedStreams } from './remote-command-streams.ts'
import { exitStatus, failureStatus } from './status.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

/** A server that accepts one connection with `accept`. */
async function aServer<Accepted>(
  accept: (request: IncomingMessage, socket: Duplex, head: Buffer) => Promise<Accepted>,
) {
  const accepted = Promise.withResolvers<Accepted>()
  accepted.promise.catch(() => {})
  const server = createServer().on('upgrade', (request, socket, head) => {
    accept(request, socket, head).then(accepted.resolve, accepted.reject)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, accepted: accepted.promise }
}

const everything: WantedStreams = { stdin: true, stdout: true, stderr: true, tty: false }

const aCommand = (wanted: Partial<WantedStreams> = {}) =>
  aServer<RemoteCommandStreams>((request, socket, head) =>
    acceptRemoteCommand({ request, socket, head, wanted: { ...everything, ...wanted } }),
  )

/** A WebSocket client that keeps every message. */
async function aWebSocket(host: string, protocols: string[], path = '/') {
  const socket = new WebSocket(`ws://${host}${path}`, protocols)
  const messages: Buffer[] = []
  socket.on('message', (data) => messages.push(data as Buffer))
  const closed = once(socket, 'close')
  await once(socket, 'open')
  closing.push(() => socket.terminate())
  const of = (channel: number) =>
    Buffer.concat(messages.flatMap((message) => (message[0] === channel ? [message.subarray(1)] : []))).toString()
  return { socket, messages, of, closed }
}

const failed = { reason: 'NonZeroExitCode', details: { causes: [{ reason: 'ExitCode', message: '3' }] } }

describe('acceptRemoteCommand over WebSocket', () => {
  it.each(['v5.channel.k8s.io', 'v4.channel.k8s.io'])('%s: streams, status, close', async (protocol) => {
    const { host, accepted } = await aCommand()
    const client = await aWebSocket(host, [protocol])
    expect(client.socket.protocol).toBe(protocol)
    const streams = await accepted
    client.socket.send(Buffer.from('\0hello'))
    const [chunk] = await once(streams.stdin as never, 'data')
    expect(String(chunk)).toBe('hello')
    streams.stdout?.write('out')
    streams.stderr?.write('err')
    await streams.finish(exitStatus(3))
    expect((await client.closed)[0]).toBe(1000)
    expect([client.of(1), client.of(2)]).toEqual(['out', 'err'])
    expect(JSON.parse(client.of(3))).toMatchObject({ status: 'Failure', ...failed })
    expect(client.messages[0]).toEqual(Buffer.from([1]))
  })

  it('what could not be run: an internal error, and its cause', async () => {
    const { host, accepted } = await aCommand()
    const client = await aWebSocket(host, ['v5.channel.k8s.io'])
    await (await accepted).finish(failureStatus('no such file'))
    await client.closed
    expect(JSON.parse(client.of(3))).toMatchObject({
      status: 'Failure',
      reason: 'InternalError',
      message: 'Internal error occurred: no such file',
      details: { causes: [{ message: 'no such file' }] },
      code: 500,
    })
  })

  it('a client that reads before it has made its streams has time to make them', async () => {
    const { host, accepted } = await aCommand()
    const before = performance.now()
    const client = await aWebSocket(host, ['v4.channel.k8s.io'])
    const streams = await accepted
    // From before the connection: on a busy machine this end may hear late that it is open.
    expect(performance.now() - before).toBeGreaterThan(10)
    expect(client.messages).toEqual([Buffer.from([1])])
    await streams.finish(exitStatus(0))
  })

  it('v5: channel 255 ends the input alone', async () => {
    const { host, accepted } = await aCommand()
    const client = await aWebSocket(host, ['v5.channel.k8s.io'])
    const { stdin, finish } = await accepted
    client.socket.send(Buffer.from('\0all'))
    client.socket.send(Buffer.from([255, 0]))
    expect(await text(stdin as never)).toBe('all')
    await finish(exitStatus(0))
    await client.closed
    expect(JSON.parse(client.of(3))).toEqual({ metadata: {}, status: 'Success' })
  })

  it.each([['channel.k8s.io'], undefined])(
    'the first version (%s): no status on success, text on failure',
    async (protocol) => {
      for (const [code, expected] of [
        [0, ''],
        [3, 'command terminated with non-zero exit code: exit status 3'],
      ] as const) {
        const { host, accepted } = await aCommand()
        const client = await aWebSocket(host, protocol ? [protocol].flat() : [])
        const streams = await accepted
        streams.stdout?.write('x')
        await streams.finish(exitStatus(code))
        await client.closed
        expect([client.of(1), client.of(3)]).toEqual(['x', expected])
      }
    },
  )

  it('base64: text messages, the channel as a digit', async () => {
    const { host, accepted } = await aCommand()
    const client = await aWebSocket(host, ['v4.base64.channel.k8s.io'])
    const { stdin, stdout, finish } = await accepted
    client.socket.send(`0${Buffer.from('hi').toString('base64')}`)
    expect(String((await once(stdin as never, 'data'))[0])).toBe('hi')
    stdout?.write('yes')
    await finish(exitStatus(0))
    await client.closed
    expect(client.messages.map(String)).toContain(`1${Buffer.from('yes').toString('base64')}`)
  })

  it('resize: sizes arrive, nonsense does not', async () => {
    const { host, accepted } = await aCommand({ tty: true, stderr: false })
    const client = await aWebSocket(host, ['v5.channel.k8s.io'])
    const streams = await accepted
    const resize = (json: string) => client.socket.send(Buffer.concat([Buffer.of(4), Buffer.from(json)]))
    for (const json of ['{"Width":80,"Height":24}', 'x}', '{"Width":-1,"Height":24}', '{"Width":100,"Height":30}\n'])
      resize(json)
    const sizes: string[] = []
    streams.onResize((columns, rows) => sizes.push(`${columns}x${rows}`))
    await expect.poll(() => sizes.at(-1)).toBe('100x30')
    expect(sizes.filter((size) => !['80x24', '100x30'].includes(size))).toEqual([])
    await streams.finish(exitStatus(0))
  })

  it('the client goes away: input ends, output fails, closed resolves', async () => {
    const { host, accepted } = await aCommand()
    const client = await aWebSocket(host, ['v5.channel.k8s.io'])
    const { stdin, stdout, closed, finish } = await accepted
    client.socket.terminate()
    await closed
    expect(await text(stdin as never)).toBe('')
    expect(await new Promise((resolve) => stdout?.write('x', resolve))).toBeInstanceOf(Error)
    await finish(exitStatus(0))
  })

  it('a protocol that nobody knows: is answered with 400', async () => {
    const { host, accepted } = await aCommand()
    const socket = new WebSocket(`ws://${host}/`, ['v9.channel.k8s.io'])
    const [error] = await once(socket, 'error')
    expect(String(error)).toContain('400')
    await expect(accepted).rejects.toMatchObject({ code: 'STREAM_UPGRADE' })
  })
})

/** A SPDY client behind an HTTP upgrade. */
async function aSpdyClient(host: string, version: string | undefined) {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'SPDY/3.1',
    ...(version ? { 'x-stream-protocol-version': version } : {}),
  }
  const request = httpRequest(`http://${host}/`, { method: 'POST', headers }).end()
  const [response, socket] = (await Promise.race([once(request, 'upgrade'), once(request, 'response')])) as [
    { headers: Record<string, string>; statusCode: number },
    Duplex | undefined,
  ]
  if (socket) closing.push(() => socket.destroy())
  return { response, ...(socket ? { client: new SpdyClient(socket), socket } : {}) }
}

describe('acceptRemoteCommand over SPDY', () => {
  it('v4: waits for all streams, then input, output, status', async () => {
    const { host, accepted } = await aCommand({ stderr: false })
    const { response, client } = await aSpdyClient(host, 'v4.channel.k8s.io,v3.channel.k8s.io')
    expect(response.headers['x-stream-protocol-version']).toBe('v4.channel.k8s.io')
    client?.open(1, { streamtype: 'error' })
    client?.open(3, { streamtype: 'stdin' })
    client?.open(5, { streamtype: 'stdout' })
    const { stdin, stdout, stderr, finish } = await accepted
    expect(stderr).toBeUndefined()
    client?.send(3, 'in', true)
    expect(await text(stdin as never)).toBe('in')
    stdout?.write('out')
    await finish(exitStatus(3))
    expect(client?.dataOf(5)).toBe('out')
    expect(JSON.parse(client?.dataOf(1) ?? '')).toMatchObject(failed)
    expect(client?.frames.some(({ type }) => type === 'go-away')).toBe(true)
  })

  it('streams that were not asked for: are refused', async () => {
    const { host, accepted } = await aCommand({ stdin: false, stderr: false })
    const { client } = await aSpdyClient(host, 'v4.channel.k8s.io')
    client?.open(1, { streamtype: 'error' })
    client?.open(3, { streamtype: 'stdin' })
    client?.open(5, { streamtype: 'stdout' })
    const streams = await accepted
    await client?.until((frame) => frame.type === 'reset' && frame.stream === 3 && frame.status === 3)
    await streams.finish(exitStatus(0))
  })

  it('the client leaves before all are open: says so', async () => {
    const { host, accepted } = await aCommand()
    const { client, socket } = await aSpdyClient(host, 'v4.channel.k8s.io')
    client?.open(1, { streamtype: 'error' })
    await client?.until(({ type }) => type === 'syn-reply')
    socket?.destroy()
    await expect(accepted).rejects.toThrow(/before it opened stdin, stdout, stderr/)
  })

  it('no common version: is answered with 403', async () => {
    const { host, accepted } = await aCommand()
    const { response } = await aSpdyClient(host, 'v9.channel.k8s.io')
    expect(response.statusCode).toBe(403)
    await expect(accepted).rejects.toMatchObject({ code: 'STREAM_UPGRADE' })
  })

  it('no streams at all: is answered with 400', async () => {
    const { host, accepted } = await aCommand({ stdin: false, stdout: false, stderr: false })
    const { response } = await aSpdyClient(host, 'v4.channel.k8s.io')
    expect(response.statusCode).toBe(400)
    await expect(accepted).rejects.toThrow(/at least 1/)
  })
})

describe('acceptPortForward', () => {
  const aForward = () =>
    aServer<PortForwardSession>((request, socket, head) => acceptPortForward({ request, socket, head }))

  it('SPDY: pairs of streams by request id, in any order', async () => {
    const { host, accepted } = await aForward()
    const { client } = await aSpdyClient(host, 'portforward.k8s.io')
    client?.open(1, { streamtype: 'error', port: '80', requestid: 'a' })
    client?.open(3, { streamtype: 'error', port: '81', requestid: 'b' })
    client?.open(5, { streamtype: 'data', port: '81', requestid: 'b' })
    client?.open(7, { streamtype: 'data', port: '80', requestid: 'a' })
    client?.open(9, { streamtype: 'data', port: '0', requestid: 'c' })
    client?.open(11, { streamtype: 'data', port: '82', requestid: 'alone' })
    const connections = (await accepted).connections[Symbol.asyncIterator]()
    const ports: number[] = []
    for (let count = 0; count < 2; count++) {
      const { value } = await connections.next()
      ports.push(value.port)
      value.data.end(`data ${value.port}`)
      value.error.end()
    }
    expect(ports).toEqual([81, 80])
    await client?.until((frame) => frame.type === 'reset' && frame.stream === 11)
    await client?.until((frame) => frame.type === 'data' && frame.stream === 7 && frame.isLast)
    expect([client?.dataOf(5), client?.dataOf(7)]).toEqual(['data 81', 'data 80'])
    expect(client?.frames).toContainEqual({ type: 'reset', stream: 9, status: 3 })
  })

  it('channels: each begins with its port', async () => {
    const { host, accepted } = await aForward()
    const client = await aWebSocket(host, ['v4.channel.k8s.io'], '/?port=80&port=8080')
    const session = await accepted
    const seen: number[] = []
    const connections = session.connections[Symbol.asyncIterator]()
    for (let count = 0; count < 2; count++) {
      const { value } = await connections.next()
      seen.push(value.port)
      value.data.write(`to ${value.port}`)
      value.error.write('oh')
    }
    expect(seen).toEqual([80, 8080])
    await expect.poll(() => client.of(3)).toBe('\x90\x1foh'.replace('\x90', '\ufffd'))
    expect([client.of(0), client.of(2).slice(2)]).toEqual(['P\0to 80', 'to 8080'])
    session.close()
    await client.closed
    expect((await connections.next()).done).toBe(true)
  })

  it('channels without ports: are closed with a reason', async () => {
    const { host } = await aForward()
    const client = await aWebSocket(host, ['v4.channel.k8s.io'], '/?ports=http')
    expect((await client.closed)[0]).toBe(1008)
  })
})
