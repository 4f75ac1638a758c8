import { once } from 'node:events'
import { type Duplex, duplexPair } from 'node:stream'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { SpdyClient } from '../../../../test/fixtures/spdy-client.ts'
import { SpdyConnection } from './connection.ts'
import { pingFrame, resetFrame, windowUpdateFrame } from './frames.ts'
import type { SpdyStream } from './stream.ts'

function aConnection() {
  const [ours, theirs] = duplexPair() as [Duplex, Duplex]
  const streams: SpdyStream[] = []
  const connection = new SpdyConnection(ours, (stream) => streams.push(stream))
  const client = new SpdyClient(theirs)
  const opened = async (id: number, headers: Record<string, string> = {}) => {
    client.open(id, headers)
    await client.until((frame) => frame.type === 'syn-reply' && frame.stream === id)
    const stream = streams.find((one) => one.id === id)
    if (!stream) throw new Error(`no stream ${id}`)
    return stream
  }
  return { connection, client, transport: theirs, opened, streams }
}

const isLastOf = (id: number) => (frame: { type: string; stream?: number; isLast?: boolean }) =>
  frame.type === 'data' && frame.stream === id && frame.isLast === true

describe('SpdyConnection', () => {
  it('a stream: headers, data both ways, ends of both sides', async () => {
    const { client, opened } = aConnection()
    const stream = await opened(1, { StreamType: 'data', port: '80' })
    expect(Object.fromEntries(stream.headers)).toEqual({ streamtype: 'data', port: '80' })
    client.send(1, 'hello ')
    client.send(1, 'there', true)
    expect(await text(stream)).toBe('hello there')
    stream.end('and back')
    await client.until(isLastOf(1))
    expect(client.dataOf(1)).toBe('and back')
    if (!stream.closed) await once(stream, 'close')
    expect(client.frames.filter(({ type }) => type === 'reset')).toEqual([])
  })

  it('a stream with an old or even number: is reset, the connection goes on', async () => {
    const { client, opened } = aConnection()
    await opened(3)
    client.open(3, {})
    client.open(2, {})
    await client.until((frame) => frame.type === 'reset' && frame.stream === 2 && frame.status === 1)
    await opened(5)
  })

  it('ping: is answered', async () => {
    const { client } = aConnection()
    client.raw(pingFrame(7))
    expect(await client.until((frame) => frame.type === 'ping')).toEqual({ type: 'ping', id: 7 })
  })

  it('reset by the client: ends the stream; by us: tells the client', async () => {
    const { client, opened } = aConnection()
    const stream = await opened(1)
    client.raw(resetFrame(1, 5))
    await once(stream, 'close')
    const other = await opened(3)
    other.destroy()
    await client.until((frame) => frame.type === 'reset' && frame.stream === 3)
  })

  it('a client that gives no credit: is sent everything', async () => {
    const { client, opened } = aConnection()
    const stream = await opened(1)
    stream.end(Buffer.alloc(500_000, 'x'))
    await client.until(isLastOf(1))
    expect(client.dataOf(1)).toHaveLength(500_000)
  })

  it('a client that gives credit: is sent no more than it wants', async () => {
    const { client, opened } = aConnection()
    const stream = await opened(1)
    client.raw(windowUpdateFrame(0, 1_000_000))
    client.raw(pingFrame(1))
    await client.until((frame) => frame.type === 'ping')
    stream.end(Buffer.alloc(100_000, 'x'))
    await client.until(() => client.dataOf(1).length >= 65_536)
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(client.dataOf(1)).toHaveLength(65_536)
    client.raw(windowUpdateFrame(1, 50_000))
    await client.until(isLastOf(1))
    expect(client.dataOf(1)).toHaveLength(100_000)
  })

  it('what is read is credited to stream and connection', async () => {
    const { client, opened } = aConnection()
    const stream = await opened(1)
    client.send(1, Buffer.alloc(100_000))
    stream.resume()
    await client.until((frame) => frame.type === 'window-update' && frame.stream === 0)
    await client.until((frame) => frame.type === 'window-update' && frame.stream === 1)
  })

  it('what nobody reads holds the client back, and goes on when it is read', async () => {
    const { client, opened, transport } = aConnection()
    const stream = await opened(1)
    for (let count = 0; count < 100; count++) client.send(1, Buffer.alloc(100_000))
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(stream.readableLength).toBeLessThan(3_000_000)
    expect(transport.writableLength).toBeGreaterThan(5_000_000)
    client.send(1, '', true)
    let size = 0
    for await (const chunk of stream) size += (chunk as Buffer).length
    expect(size).toBe(10_000_000)
  })

  it('the client goes away: reading ends, writing fails, closed resolves', async () => {
    const { connection, opened, transport } = aConnection()
    const stream = await opened(1)
    transport.end()
    await connection.closed
    expect(await text(stream)).toBe('')
    const failure = new Promise((resolve) => stream.write('x', resolve))
    expect(await failure).toMatchObject({ code: 'STREAM_CLOSED' })
  })

  it.each([
    ['another version', Buffer.from([0x80, 2, 0, 1, 0, 0, 0, 0])],
    ['a frame that is too short', Buffer.from([0x80, 3, 0, 3, 0, 0, 0, 2, 0, 0])],
    ['rubbish for headers', Buffer.concat([Buffer.from([0x80, 3, 0, 1, 0, 0, 0, 20]), Buffer.alloc(20, 7)])],
    ['a control frame of megabytes', Buffer.from([0x80, 3, 0, 1, 0, 255, 255, 255])],
  ])('%s: costs the client its connection', async (_, bytes) => {
    const { connection, client } = aConnection()
    client.raw(bytes)
    await connection.closed
  })
})
