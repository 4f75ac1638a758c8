/**
 * gRPC health checking protocol, the client's half (grpc/grpc doc/health-checking.md): one unary call of
 * `/grpc.health.v1.Health/Check` over plain HTTP/2. The two messages have one field each, so no protobuf library is
 * needed to speak it.
 */
import { connect } from 'node:http2'
import type { Probe } from '../../orchestrator/api/types.ts'
import { messageOf } from '../../runtime/base/errors.ts'
import type { Outcome } from './outcome.ts'

const serving = 1
const statusNames = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']
const longestAnswer = 4096

/** Asks the service at the pod's port. Never throws. */
export function checkHealth(
  action: NonNullable<Probe['grpc']>,
  target: { podIP: string; timeoutMs: number },
): Promise<Outcome> {
  const session = connect(`http://${target.podIP}:${action.port}`)
  return new Promise<Outcome>((resolve) => {
    const fail = (why: string) => resolve({ ok: false, output: why })
    session.on('error', (error) =>
      fail(`failed to connect to service at ${target.podIP}:${action.port}: ${messageOf(error)}`),
    )
    const timeout = `timeout: health rpc did not complete within ${target.timeoutMs / 1000}s`
    const timer = setTimeout(() => fail(timeout), target.timeoutMs)
    const call = session.request({
      ':method': 'POST',
      ':path': '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      'user-agent': 'kube-probe/1.36',
      te: 'trailers',
    })
    const chunks: Buffer[] = []
    let problem = ''
    const note = (headers: Record<string, unknown>) => {
      const status = headers['grpc-status']
      if (status !== undefined && status !== '0')
        problem = `rpc status ${String(status)}: ${String(headers['grpc-message'] ?? '')}`
      const http = headers[':status']
      if (http !== undefined && http !== 200) problem = `HTTP status ${String(http)}`
    }
    call.on('response', note)
    call.on('trailers', note)
    let length = 0
    call.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= longestAnswer) chunks.push(chunk)
    })
    call.on('error', (error) => fail(messageOf(error)))
    call.on('close', () => {
      clearTimeout(timer)
      resolve(problem === '' ? verdict(Buffer.concat(chunks)) : { ok: false, output: problem })
    })
    call.end(frame(request(action.service ?? '')))
  }).finally(() => session.destroy())
}

/** HealthCheckRequest: field 1, a string. */
export function request(service: string): Buffer {
  const name = Buffer.from(service)
  return name.length === 0 ? name : Buffer.concat([Buffer.of(0x0a, ...varint(name.length)), name])
}

/** gRPC over HTTP/2: a flag for compression, four bytes of length, the message. */
function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** HealthCheckResponse: field 1, an enum; left out when it is 0. */
export function verdict(answer: Buffer): Outcome {
  if (answer.length < 5) return { ok: false, output: 'the health service gave no answer' }
  const message = answer.subarray(5)
  const status = message[0] === 0x08 ? (message[1] ?? 0) : 0
  const name = statusNames[status] ?? String(status)
  return { ok: status === serving, output: `service unhealthy (responded with "${name}")` }
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]
}
