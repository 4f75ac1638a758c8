import type { Socket } from 'node:net'
import { launcherError } from './errors.ts'
import { type FrameKind, frameKinds } from './protocol.ts'

const headerBytes = 5
const maximumBytes = 16 * 1024 * 1024

/** Sends one frame; false means that the socket's buffer is full, as with `Socket.write`. */
export function writeFrame(socket: Socket, kind: FrameKind, payload: Uint8Array): boolean {
  const header = Buffer.allocUnsafe(headerBytes)
  header.writeUInt32LE(payload.length)
  header.writeUInt8(frameKinds.indexOf(kind), 4)
  socket.cork()
  socket.write(header)
  const room = socket.write(payload)
  socket.uncork()
  return room
}

/** Sends one JSON frame. */
export function writeJson(socket: Socket, value: unknown): boolean {
  return writeFrame(socket, 'json', Buffer.from(JSON.stringify(value)))
}

/** Cuts a stream of bytes into frames. Throws PROTOCOL for a kind or length that cannot be. */
export function frameReader(onFrame: (kind: FrameKind, payload: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    while (rest.length >= headerBytes) {
      const length = rest.readUInt32LE()
      const kind = frameKinds[rest.readUInt8(4)]
      if (kind === undefined || length > maximumBytes) {
        throw launcherError('PROTOCOL', `read frame: ${length} bytes of unknown kind ${rest.readUInt8(4)}`)
      }
      if (rest.length < headerBytes + length) return
      const payload = rest.subarray(headerBytes, headerBytes + length)
      rest = rest.subarray(headerBytes + length)
      onFrame(kind, payload)
    }
  }
}
