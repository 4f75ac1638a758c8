import type { IncomingMessage } from 'node:http'
import type { Duplex, Readable, Writable } from 'node:stream'
import { acceptOverSpdy } from './remote-command-spdy.ts'
import { acceptOverWebSocket } from './remote-command-websocket.ts'
import type { CommandStatus } from './status.ts'
import { refuseUpgrade, wantedUpgrade } from './upgrade.ts'

/** What exec or attach was asked for, from the request's query. */
export interface WantedStreams {
  stdin: boolean
  stdout: boolean
  stderr: boolean
  tty: boolean
}

/** Size of a terminal in characters. */
export interface TerminalSize {
  width: number
  height: number
}

/** The client's end of a command. */
export interface RemoteCommandStreams {
  /** Ends when the client has no more to say, or has gone. */
  stdin?: Readable
  stdout?: Writable
  stderr?: Writable
  /** Called with every size from now on, and with the last one before. */
  onResize(callback: (size: TerminalSize) => void): void
  /** Tells how the command ended and closes, after everything that was written has been sent. */
  finish(status: CommandStatus): Promise<void>
  /** Resolves when the connection is closed, by whichever side. */
  closed: Promise<void>
}

/**
 * Accepts the streams of kubectl exec or attach, over WebSocket or SPDY as the client asks. A request that is neither is
 * answered with 400. Throws `STREAM_UPGRADE`, `STREAM_TIMEOUT`, `STREAM_CLOSED`. Source: kubernetes/kubernetes,
 * staging/src/k8s.io/kubelet/pkg/cri/streaming/remotecommand; KEP-4006.
 */
export async function acceptRemoteCommand(
  request: IncomingMessage,
  socket: Duplex,
  o: { head: Buffer; wanted: WantedStreams },
): Promise<RemoteCommandStreams> {
  const { stdin, stdout, stderr } = o.wanted
  if (!stdin && !stdout && !stderr) {
    throw refuseUpgrade(socket, 400, 'you must specify at least 1 of stdin, stdout, stderr')
  }
  switch (wantedUpgrade(request)) {
    case 'websocket':
      return acceptOverWebSocket(request, socket, o)
    case 'spdy':
      return acceptOverSpdy(request, socket, o)
    case undefined:
      throw refuseUpgrade(socket, 400, 'Upgrade request required')
  }
}
