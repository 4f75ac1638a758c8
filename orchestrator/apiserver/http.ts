/** The HTTP shell: TLS, limits, compression. What requests mean is `handler.ts`' business. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Duplex } from 'node:stream'
import { badRequest, toStatus } from '../api/status.ts'
import type { KeyPair } from '../auth/pki.ts'
import { type Answer, failureAnswer, refusalOf, type StreamedAnswer } from './answer.ts'
import type { Authenticate, Caller } from './authenticator.ts'
import { handleUpgrade } from './connect-handler.ts'
import { handle, type Unauthorized } from './handler.ts'
import { inOnePiece, lengthOf, longBytes, sendLong } from './long-body.ts'
import { hasForeignBody } from './proxy.ts'
import { receiveBody } from './receive-body.ts'
import { requestInfoOf } from './request-info.ts'
import type { Serving } from './serving.ts'
import { Traffic, type TrafficLimits, usualLimits } from './traffic.ts'

/** Headers with the URL: exec carries its command there. */
const largestHeadBytes = 256 * 1024
/** Who is slower than this to say what he wants is not waited for. */
const headMs = 32_000

export interface HttpOptions {
  readonly serving: Serving
  readonly tls: KeyPair & { readonly caPem: string }
  readonly authenticate: Authenticate
  /** Certificates that no longer count, as PEM. */
  readonly revoked?: string
  /** kube-apiserver's own when left out. */
  readonly limits?: TrafficLimits
}

type Shell = HttpOptions & { readonly traffic: Traffic }

export interface HttpServer {
  readonly server: Server
  /** Resolves when connections are taken. Throws EADDRINUSE and what else `listen(2)` refuses. */
  listen(where: { readonly host: string; readonly port: number }): Promise<void>
  /** Ends all connections, whatever they are in the middle of. */
  close(): Promise<void>
}

/** The server, not yet listening. */
export function createHttpServer(given: HttpOptions): HttpServer {
  const { tls, serving, limits = usualLimits } = given
  const shell: Shell = { ...given, traffic: new Traffic(serving.registry, limits) }
  const server = createServer(
    {
      cert: tls.certificatePem,
      key: tls.privateKeyPem,
      ca: tls.caPem,
      ...(given.revoked ? { crl: given.revoked } : {}),
      requestCert: true,
      // Whoever has no certificate of ours is nobody, and is told so in the language of the API.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      handshakeTimeout: 10_000,
      headersTimeout: headMs,
      // What goes on to a pod may take its time; bodies of our own have a limit in `receive-body.ts`.
      requestTimeout: 0,
      maxHeaderSize: largestHeadBytes,
      keepAliveTimeout: 120_000,
    },
    // A turn later a body that came with its head has been read, too.
    (request, response) => process.nextTick(() => void serve(shell, request, response)),
  )
  const upgraded = takeUpgrades(server, shell)
  return {
    server,
    listen: ({ host, port }) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen({ host, port }, () => {
          server.off('error', reject)
          resolve()
        })
      }),
    async close() {
      if (!server.listening) return
      const closed = new Promise((resolve) => server.close(resolve))
      server.closeAllConnections()
      // The HTTP server forgets connections that left HTTP: without this, closing would wait for them.
      for (const socket of upgraded) socket.destroy()
      await closed
    },
  }
}

/** The connections that have left HTTP and are not over. */
function takeUpgrades(server: Server, { serving, authenticate }: Shell): ReadonlySet<Duplex> {
  const upgraded = new Set<Duplex>()
  const upgrading = { ...serving, authenticate }
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgraded.add(socket)
    socket.once('close', () => upgraded.delete(socket))
    void handleUpgrade(upgrading, { request, socket, head })
  })
  return upgraded
}

/** Answers one request, whatever happens. */
async function serve(shell: Shell, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const received = incomingOf(shell, request)
    const incoming = received instanceof Promise ? await received : received
    const answer = await throughTraffic(shell, { incoming, response })
    if ('stream' in answer) await answer.stream(response)
    else await send(response, answer, incoming.warnings)
  } catch (error) {
    if (response.headersSent) response.destroy()
    else await send(response, refusalOf(toStatus(error), request), [])
  }
}

async function throughTraffic(
  { traffic, serving }: Shell,
  { incoming, response }: { incoming: Unauthorized; response: ServerResponse },
): Promise<Answer | StreamedAnswer> {
  try {
    const info = requestInfoOf(incoming.method, incoming.path, incoming.query)
    const passage = traffic.enter(incoming, info)
    response.once('close', () => passage.end(response.statusCode))
    return await passage.inTime(handle(serving, incoming, info))
  } catch (error) {
    return failureAnswer(toStatus(error), incoming)
  }
}

/** At once when neither the body nor the caller has to be waited for. Throws BAD_REQUEST, TOO_LARGE. */
function incomingOf({ authenticate }: Shell, request: IncomingMessage): Unauthorized | Promise<Unauthorized> {
  // What goes on to a pod goes as it comes: however large, and never into our memory.
  const body = hasForeignBody(request) ? new Uint8Array() : receiveBody(request)
  if (body instanceof Promise) return waitFor(request, body, authenticate)
  const user = authenticate(request)
  return user instanceof Promise ? waitFor(request, body, () => user) : readHead(request, body, user)
}

async function waitFor(
  request: IncomingMessage,
  body: Uint8Array | Promise<Uint8Array>,
  authenticate: Authenticate,
): Promise<Unauthorized> {
  return readHead(request, await body, await authenticate(request))
}

function readHead(request: IncomingMessage, body: Uint8Array, user: Caller): Unauthorized {
  const { method = 'GET', url = '/', headers, rawHeaders, socket } = request
  const [path, search] = splitAtMark(url)
  requireDecodable(path)
  return {
    method,
    path,
    query: new URLSearchParams(search),
    headers,
    body,
    // What is lost when a request is taken apart.
    wire: { uri: url, address: socket.remoteAddress ?? '', rawHeaders },
    user,
    warnings: [],
  }
}

function splitAtMark(url: string): [path: string, search: string] {
  const at = url.indexOf('?')
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
}

function requireDecodable(path: string): void {
  if (!path.includes('%')) return
  try {
    decodeURIComponent(path)
  } catch {
    throw badRequest('the URL of the request cannot be read')
  }
}

/** RFC 9111 section 5.5 with the code and agent that Kubernetes uses. */
const warningOf = (text: string) => `299 - ${JSON.stringify(text.replace(/[^\x20-\x7e]/g, '?'))}`

async function send(response: ServerResponse, answer: Answer, warnings: readonly string[]): Promise<void> {
  const { status, contentType, body } = answer
  const headers: OutgoingHttpHeaders = {
    'Content-Type': contentType,
    'Cache-Control': 'no-cache, private',
    ...answer.headers,
  }
  if (warnings.length > 0) headers.Warning = warnings.map(warningOf)
  const length = lengthOf(body)
  if (length >= longBytes) {
    await sendLong(response, body, { status, headers, length })
    return
  }
  if (status !== 304) headers['Content-Length'] = length
  response.writeHead(status, headers).end(inOnePiece(body))
}
