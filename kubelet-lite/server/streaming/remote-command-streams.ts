import type { IncomingMessage } from 'node:http'
import type { Duplex, Readable, Writable } from 'node:stream'

/** What exec or attach was asked for, from the request's query. */
export interface WantedStreams {
  stdin: boolean
  stdout: boolean
  stderr: boolean
  tty: boolean
}

/** The client's end of a command. */
export interface RemoteCommandStreams {
  /** Ends when the client has no more to say, or has gone. */
  stdin?: Readable
  stdout?: Writable
  stderr?: Writable
  /** Called with every size of the terminal, in characters, from now on, and with the last one before. */
  onResize(callback: (columns: number, rows: number) => void): void
  /** Tells how the command ended and closes, after everything that was written has been sent. */
  finish(status: Readonly<Record<string, unknown>>): Promise<void>
  /** Resolves when the connection is closed, by whichever side. */
  closed: Promise<void>
}

/** A request to upgrade, as Node's HTTP server hands it over. */
export interface RemoteCommandRequest {
  request: IncomingMessage
  socket: Duplex
  /** What the client sent behind its request. */
  head: Buffer
  wanted: WantedStreams
}
