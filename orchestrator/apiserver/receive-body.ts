/** The bytes of a request's body, and what is done about clients that send too many of them, or too slowly. */
import type { IncomingMessage } from 'node:http'
import { badRequest, tooLarge } from '../api/status.ts'

/** As in Kubernetes: no object is larger. */
export const largestBodyBytes = 3 * 1024 * 1024

/** Who is slower than this to send his body is not waited for. */
const bodyMs = 60_000

const nothing = new Uint8Array()

/**
 * The whole body; empty when none was announced. Throws TOO_LARGE, after the client has had time to stop writing, and
 * BAD_REQUEST when it left in the middle.
 */
export function receiveBody(request: IncomingMessage): Uint8Array | Promise<Uint8Array> {
  const { 'content-length': length, 'transfer-encoding': encoding } = request.headers
  if (encoding === undefined && (length === undefined || length === '0')) return nothing
  if (Number(length) > largestBodyBytes) return refuseLarge(request)
  return request.readableLength === Number(length) ? arrived(request) : gather(request)
}

/** A body that came with its head, as most do: neither it nor its sender has to be waited for. */
function arrived(request: IncomingMessage): Uint8Array {
  const body = request.read() as Buffer
  // The end of the message is still to be read.
  request.resume()
  return body
}

function gather(request: IncomingMessage): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const timer = setTimeout(() => request.destroy(), bodyMs)
    const stop = () => {
      clearTimeout(timer)
      request.off('data', take).off('end', finish).off('close', leave)
    }
    const take = (chunk: Buffer) => {
      chunks.push(chunk)
      size += chunk.length
      if (size <= largestBodyBytes) return
      stop()
      refuseLarge(request).catch(reject)
    }
    const finish = () => {
      stop()
      const [first = nothing] = chunks
      resolve(chunks.length > 1 ? Buffer.concat(chunks, size) : first)
    }
    const leave = () => {
      stop()
      reject(badRequest('the client left before the end of the body'))
    }
    // What fails is closed next.
    request
      .on('data', take)
      .on('end', finish)
      .on('close', leave)
      .on('error', () => {})
  })
}

const swallowedBytes = 64 * 1024 * 1024
const swallowedMs = 10_000

/**
 * Reads what is left of a body that is too large. A client that is still writing when the connection closes never sees
 * the answer; one that never stops writing is not waited for.
 */
function refuseLarge(request: IncomingMessage): Promise<never> {
  return new Promise((_, refuse) => {
    let left = swallowedBytes
    const end = () => {
      clearTimeout(timer)
      refuse(tooLarge(largestBodyBytes))
    }
    const timer = setTimeout(end, swallowedMs)
    request.on('data', (chunk: Buffer) => {
      left -= chunk.length
      if (left <= 0) end()
    })
    for (const event of ['end', 'close', 'error']) request.once(event, end)
    request.resume()
    if (request.readableEnded || request.destroyed) end()
  })
}
