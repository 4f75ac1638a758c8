import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { streamingError } from './errors.ts'

/** What a client asks to change to. */
export function wantedUpgrade(request: IncomingMessage): 'spdy' | 'websocket' | undefined {
  const upgrade = request.headers.upgrade?.toLowerCase()
  if (upgrade === 'websocket') return 'websocket'
  return upgrade === 'spdy/3.1' ? 'spdy' : undefined
}

/** Values of a header that may come several times or with commas. */
export function valuesOf(header: string | string[] | undefined): string[] {
  return [header ?? []]
    .flat()
    .flatMap((value) => value.split(','))
    .map((value) => value.trim())
    .filter((value) => value !== '')
}

/** Answers that the connection is SPDY from here on, with the chosen protocol of streams. */
export function switchToSpdy(socket: Duplex, protocol: string): void {
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: SPDY/3.1']
  socket.write(`${[...lines, `X-Stream-Protocol-Version: ${protocol}`].join('\r\n')}\r\n\r\n`)
}

/** Answers with a metav1.Status, closes, and returns the error to throw. */
export function refuseUpgrade(socket: Duplex, code: 400 | 403, message: string): Error {
  const reason = code === 400 ? 'BadRequest' : 'Forbidden'
  const status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code }
  const body = JSON.stringify(status)
  const lines = [
    `HTTP/1.1 ${code} ${code === 400 ? 'Bad Request' : 'Forbidden'}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Connection: close',
  ]
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`)
  return streamingError('STREAM_UPGRADE', `upgrade connection: ${message}`)
}
