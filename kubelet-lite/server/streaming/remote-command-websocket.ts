import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { endQuietly } from './remote-command-spdy.ts'
import type { RemoteCommandRequest, RemoteCommandStreams } from './remote-command-streams.ts'
import { readSizes, sizeFeed } from './resize.ts'
import { errorText } from './status.ts'
import { acceptWebSocket, ChannelSocket } from './websocket.ts'

/** The newest first; '' is a client that names no protocol and means the first version. */
const protocols = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
  '',
]
const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 } as const

/**
 * client-go before 1.34 begins to read before it has made its streams, and throws away what comes for those that it does
 * not know yet ("Unknown stream id 1, discarding message"; kubernetes/kubernetes#131203): a command may have ended by then.
 */
const beforeStreamsMilliseconds = 20

/** As `acceptRemoteCommand`, over WebSocket: each purpose has a channel with a fixed number. */
export async function acceptOverWebSocket(o: RemoteCommandRequest): Promise<RemoteCommandStreams> {
  const { request, socket, head, wanted } = o
  const { webSocket, protocol } = await acceptWebSocket(request, socket, { head, protocols })
  const coding = protocol.includes('base64') ? 'base64' : 'binary'
  const connection = new ChannelSocket(webSocket, { coding, canClose: protocol === 'v5.channel.k8s.io' })
  const stdin: Readable | undefined = wanted.stdin ? connection.reader(channels.stdin) : undefined
  const sizes = sizeFeed()
  if (wanted.tty) readSizes(connection.reader(channels.resize), sizes)
  const stdout: Writable | undefined = wanted.stdout ? connection.writer(channels.stdout) : undefined
  const stderr: Writable | undefined = wanted.stderr ? connection.writer(channels.stderr) : undefined
  const error = connection.writer(channels.error)
  // An empty message on the first channel tells clients that wait for it that the streams are there.
  ;(stdout ?? stderr ?? error).write(Buffer.alloc(0))
  await sleep(beforeStreamsMilliseconds)
  return {
    ...(stdin ? { stdin } : {}),
    ...(stdout ? { stdout } : {}),
    ...(stderr ? { stderr } : {}),
    onResize: sizes.listen,
    closed: connection.closed,
    async finish(status) {
      await Promise.all([stdout, stderr].map((stream) => endQuietly(stream)))
      await endQuietly(error, errorText(status, protocol))
      await connection.close()
    },
  }
}
