/**
 * Carries a request to a kubelet and its answer back. Bytes flow freely only after the kubelet has agreed to leave
 * HTTP (101): what a client sends behind a refused upgrade must never reach the kubelet with our certificate
 * (CVE-2018-1002105).
 */
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { type RequestOptions, request } from 'node:https'
import type { Duplex } from 'node:stream'
import { messageOf } from '../../runtime/base/errors.ts'
import { type StatusError, unavailable } from '../api/status.ts'
import type { KeyPair } from '../auth/pki.ts'
import { withoutBearer } from '../auth/tokens/bearer.ts'
import type { StreamedAnswer } from './answer.ts'
import { refusalOf } from './answer.ts'
import type { KubeletTarget } from './verbs/connect.ts'

/** With what the API server shows itself to kubelets, and by what it knows them. */
export interface KubeletAccess {
  readonly caPem: string
  readonly client: KeyPair
}

/** A request that shows the API server's certificate, on a connection of its own. */
export function requestTo(target: KubeletTarget, access: KubeletAccess, options: RequestOptions) {
  return request({
    host: target.host,
    port: target.port,
    path: target.path,
    ca: access.caPem,
    cert: access.client.certificatePem,
    key: access.client.privateKeyPem,
    // A connection of its own: the kubelet may take it over.
    agent: false,
    ...options,
  })
}

function unreachable(target: KubeletTarget, error: unknown): StatusError {
  return unavailable(`error trying to reach the kubelet at ${target.host}:${target.port}: ${messageOf(error)}`)
}

/** An answer that is the kubelet's own, as it comes: a log that may be followed. */
export function streamFromKubelet(target: KubeletTarget, access: KubeletAccess): StreamedAnswer {
  return {
    stream: (response) =>
      new Promise((resolve) => {
        const asked = requestTo(target, access, { method: 'GET' })
        response.once('close', () => asked.destroy())
        asked.once('error', (error) => {
          if (response.headersSent) response.destroy()
          else answerError(response, unreachable(target, error))
          resolve()
        })
        asked.once('response', (answer) => {
          pass(answer, response)
          resolve()
        })
        asked.end()
      }),
  }
}

const largestAnswerBytes = 16 * 1024 * 1024

/** The whole text of a 200 answer to GET. Throws UNAVAILABLE for everything else, and when it takes longer. */
export function askKubelet(
  target: KubeletTarget,
  access: KubeletAccess,
  { patienceMs }: { patienceMs: number },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = requestTo(target, access, { method: 'GET', signal: AbortSignal.timeout(patienceMs) })
    const fail = (error: unknown) => reject(unreachable(target, error))
    asked.once('error', fail)
    asked.once('response', async (answer) => {
      try {
        const pieces: Buffer[] = []
        let size = 0
        for await (const piece of answer as AsyncIterable<Buffer>) {
          size += piece.length
          if (size > largestAnswerBytes) throw new Error('the answer is too large')
          pieces.push(piece)
        }
        if (answer.statusCode !== 200) throw new Error(`it answered ${answer.statusCode}`)
        resolve(Buffer.concat(pieces).toString())
      } catch (error) {
        asked.destroy()
        fail(error)
      }
    })
    asked.end()
  })
}

function pass(answer: IncomingMessage, response: ServerResponse): void {
  response.writeHead(answer.statusCode ?? 502, { 'Content-Type': answer.headers['content-type'] ?? 'text/plain' })
  response.flushHeaders()
  answer.on('error', () => response.destroy())
  answer.pipe(response)
}

function answerError(response: ServerResponse, error: StatusError): void {
  const { status, contentType, body } = refusalOf(error.status, response.req)
  response.writeHead(status, { 'Content-Type': contentType }).end(body)
}

/** Credentials are for this server only; the rest of hop-by-hop headers is what an upgrade consists of. */
const ownHeaders = ['authorization', 'host', 'cookie', 'content-length', 'transfer-encoding']

function passedHeaders(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const passed = Object.entries(headers).filter(
    ([name]) => !ownHeaders.includes(name) && !name.startsWith('impersonate-'),
  )
  return withoutBearer(Object.fromEntries(passed))
}

export interface UpgradingClient {
  readonly request: IncomingMessage
  readonly socket: Duplex
  readonly head: Buffer
}

/** Joins the client's connection with one to the kubelet, if the kubelet agrees to the upgrade. */
export function upgradeToKubelet(target: KubeletTarget, access: KubeletAccess, client: UpgradingClient): void {
  const { method = 'GET', headers } = client.request
  const asked = requestTo(target, access, { method, headers: passedHeaders(headers) })
  joinUpgraded(asked, client, (error) => unreachable(target, error))
}

/** Sends `asked`, which wants an upgrade, and joins both connections once it is agreed to. */
export function joinUpgraded(
  asked: ClientRequest,
  client: UpgradingClient,
  errorOf: (error: unknown) => StatusError,
): void {
  const { socket, head } = client
  socket.on('error', () => asked.destroy())
  socket.once('close', () => asked.destroy())
  asked.once('error', (error) => endWithError(client, errorOf(error)))
  asked.once('upgrade', (answer: IncomingMessage, kubelet: Duplex, early: Buffer) => {
    socket.write(headOf(answer))
    if (early.length > 0) socket.write(early)
    if (head.length > 0) kubelet.write(head)
    join(socket, kubelet)
  })
  asked.once('response', (answer) => passRefusal(answer, socket))
  asked.end()
}

/** Gives an answer that is no upgrade to a client who waits for one, and ends the connection. */
export function passRefusal(answer: IncomingMessage, socket: Duplex): void {
  socket.write(headOf(answer, { Connection: 'close' }))
  answer.pipe(socket)
  answer.once('close', () => answer.destroy())
}

function join(client: Duplex, kubelet: Duplex): void {
  for (const [from, to] of [
    [client, kubelet],
    [kubelet, client],
  ] as const) {
    from.pipe(to)
    from.on('error', () => to.destroy())
    from.once('close', () => to.destroy())
  }
}

function headOf(answer: IncomingMessage, changed: Record<string, string> = {}): string {
  const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`]
  const skipped = [
    ...Object.keys(changed).map((name) => name.toLowerCase()),
    ...(answer.statusCode === 101 ? [] : ['transfer-encoding']),
  ]
  for (let at = 0; at < answer.rawHeaders.length; at += 2) {
    const name = answer.rawHeaders[at] ?? ''
    if (!skipped.includes(name.toLowerCase())) lines.push(`${name}: ${answer.rawHeaders[at + 1]}`)
  }
  lines.push(...Object.entries(changed).map(([name, value]) => `${name}: ${value}`))
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** Answers an upgrade with an error and ends the connection. */
export function endWithError({ request, socket }: Omit<UpgradingClient, 'head'>, error: StatusError): void {
  const { status, contentType, body } = refusalOf(error.status, request)
  const length = Buffer.byteLength(body)
  socket.write(
    `HTTP/1.1 ${status} ${error.status.reason ?? 'Error'}\r\nContent-Type: ${contentType}\r\nContent-Length: ${length}\r\nConnection: close\r\n\r\n`,
  )
  socket.end(body)
}
