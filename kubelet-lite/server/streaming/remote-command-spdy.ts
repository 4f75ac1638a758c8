import type { Duplex, Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { streamingError } from './errors.ts'
import type { RemoteCommandRequest, RemoteCommandStreams, WantedStreams } from './remote-command-streams.ts'
import { readSizes, sizeFeed } from './resize.ts'
import { SpdyConnection } from './spdy/connection.ts'
import type { SpdyStream } from './spdy/stream.ts'
import { errorText } from './status.ts'
import { refuseUpgrade, switchToSpdy, valuesOf } from './upgrade.ts'

/** The newest first. Up to v3 the error stream carries text and no exit code; resizing came with v3. */
const protocols = ['v4.channel.k8s.io', 'v3.channel.k8s.io', 'v2.channel.k8s.io', 'channel.k8s.io']
const streamsWithinMs = 30_000

/** As `acceptRemoteCommand`, over SPDY: the client opens one stream for each purpose and names it in `streamtype`. */
export async function acceptOverSpdy(o: RemoteCommandRequest): Promise<RemoteCommandStreams> {
  const { request, socket } = o
  const offered = valuesOf(request.headers['x-stream-protocol-version'])
  // A client that names none is older than the header and means the first version.
  const protocol = offered.length === 0 ? 'channel.k8s.io' : protocols.find((one) => offered.includes(one))
  if (!protocol)
    throw refuseUpgrade(
      socket,
      403,
      `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}]`,
    )
  switchToSpdy(socket, protocol)
  if (o.head.length > 0) socket.unshift(o.head)
  const opened = await openedStreams(socket, expectedStreams(o.wanted, protocol))
  const { connection, streams } = opened
  const sizes = sizeFeed()
  const resize = streams.get('resize')
  if (resize) readSizes(resize, sizes)
  const { stdin, stdout, stderr } = Object.fromEntries(streams)
  return {
    ...(stdin ? { stdin } : {}),
    ...(stdout ? { stdout } : {}),
    ...(stderr ? { stderr } : {}),
    onResize: sizes.listen,
    closed: connection.closed,
    async finish(status) {
      await Promise.all([stdout, stderr].map((stream) => endQuietly(stream)))
      await endQuietly(streams.get('error'), errorText(status, protocol))
      connection.close()
      await connection.closed
    },
  }
}

function expectedStreams({ stdin, stdout, stderr, tty }: WantedStreams, protocol: string): string[] {
  const canResize = protocol === 'v4.channel.k8s.io' || protocol === 'v3.channel.k8s.io'
  const wanted = { stdin, stdout, stderr, resize: tty && canResize }
  return ['error', ...Object.entries(wanted).flatMap(([name, isWanted]) => (isWanted ? [name] : []))]
}

/** Ends a stream; that the client does not listen any more is no failure of the command. */
export async function endQuietly(stream: Writable | undefined, last?: string): Promise<void> {
  if (!stream || stream.destroyed) return
  if (!stream.writableEnded) stream.end(last)
  await finished(stream, { readable: false }).catch(() => {})
}

interface Opened {
  connection: SpdyConnection
  streams: Map<string, SpdyStream>
}

/** Waits until the client has opened every expected stream; others, and second ones, are refused. */
async function openedStreams(socket: Duplex, expected: readonly string[]): Promise<Opened> {
  const streams = new Map<string, SpdyStream>()
  const complete = Promise.withResolvers<void>()
  const connection = new SpdyConnection(socket, (stream) => {
    const type = stream.headers.get('streamtype') ?? ''
    if (!expected.includes(type) || streams.has(type)) {
      stream.refuse()
      return
    }
    streams.set(type, stream)
    if (streams.size === expected.length) complete.resolve()
  })
  const missing = () => expected.filter((type) => !streams.has(type)).join(', ')
  const timer = setTimeout(
    () => complete.reject(streamingError('STREAM_TIMEOUT', `wait for streams: ${missing()} did not come`)),
    streamsWithinMs,
  )
  void connection.closed.then(() =>
    complete.reject(streamingError('STREAM_CLOSED', `wait for streams: the client left before it opened ${missing()}`)),
  )
  try {
    await complete.promise
  } catch (error) {
    connection.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
  return { connection, streams }
}
