import type { IncomingMessage } from 'node:http'
import type { Duplex, Readable, Writable } from 'node:stream'
export interface RemoteCommandStreams {
  stdin?: Readable
  stdout?: Writable
  stderr?: Writable
  onResize(cb: (columns: number, rows: number) => void): void
  finish(status: Record<string, unknown>): Promise<void>
  closed: Promise<void>
}
export async function acceptRemoteCommand(_o: {
  request: IncomingMessage
  socket: Duplex
  head: Buffer
  wanted: { stdin: boolean; stdout: boolean; stderr: boolean; tty: boolean }
}): Promise<RemoteCommandStreams> {
  throw new Error('no streaming')
}
