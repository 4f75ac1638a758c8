/** The HTTP shell: TLS, limits, compression. What requests mean is `handler.ts`' business. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import { badRequest, internalError, tooLarge, toStatus } from '../api/status.ts'
import type { KeyPair } from '../auth/pki.ts'
import { type Answer, type StreamedAnswer, statusAnswer } from './answer.ts'
import type { Authenticate } from './authenticator.ts'
import { handleUpgrade } from './connect-handler.ts'
import { handle } from './handler.ts'
import type { Incoming, Wire } from './incoming.ts'
import { hasForeignBody } from './proxy.ts'
import type { Serving } from './serving.ts'
import { Traffic, type TrafficLimits, usualLimits } from './traffic.ts'

/** As in Kubernetes: no object is larger. */
export const largestBodyBytes = 3 * 1024 * 1024

const compressedFromBytes = 128 * 1024

/** Headers with the URL: exec carries its command there. */
const largestHeadBytes = 256 * 1024
/** Who is slower than this to say what he wants is not waited for. */
const headMs = 32_000
const bodyMs = 60_000

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

/** The server, not yet listening. `inject` and `listen` are its interface. */
export function createHttpServer(given: HttpOptions) {
  const { tls, serving, limits = usualLimits } = given
  const options: Shell = { ...given, traffic: new Traffic(serving.registry, limits) }
  const app = fastify({
    bodyLimit: largestBodyBytes,
    https: {
      cert: tls.certificatePem,
      key: tls.privateKeyPem,
      ca: tls.caPem,
      ...(options.revoked ? { crl: options.revoked } : {}),
      requestCert: true,
      // Whoever has no certificate of ours is nobody, and is told so in the language of the API.
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      handshakeTimeout: 10_000,
      headersTimeout: headMs,
      maxHeaderSize: largestHeadBytes,
    },
    forceCloseConnections: true,
    keepAliveTimeout: 120_000,
    routerOptions: { ignoreTrailingSlash: false },
    exposeHeadRoutes: false,
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  // What goes on to a pod goes as it comes: however large, and never into our memory.
  app.addHook('onRequest', async (request, reply) => {
    if (hasForeignBody(request.raw)) return serve(options, request, reply)
    if (!request.raw.complete) endUnlessComplete(request.raw)
  })
  app.setErrorHandler(async (error, request, reply) => {
    const { status } = asStatus(error)
    if (status.code === 413) await swallow(request.raw)
    return send(reply, statusAnswer(status))
  })
  app.setNotFoundHandler((request, reply) => serve(options, request, reply))
  const upgrading = { ...options.serving, authenticate: options.authenticate }
  const upgraded = new Set<Duplex>()
  app.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    upgraded.add(socket)
    socket.once('close', () => upgraded.delete(socket))
    void handleUpgrade(upgrading, { request, socket, head })
  })
  // The HTTP server forgets connections that left HTTP: without this, closing would wait for them.
  app.addHook('preClose', async () => {
    for (const socket of upgraded) socket.destroy()
  })
  return app
}

function endUnlessComplete(request: IncomingMessage): void {
  const timer = setTimeout(() => {
    if (!request.complete) request.destroy()
  }, bodyMs)
  for (const event of ['end', 'close']) request.once(event, () => clearTimeout(timer))
}

const swallowedBytes = 64 * 1024 * 1024
const swallowedMs = 10_000

/**
 * Reads what is left of a body that is too large. A client that is still writing when the connection closes never sees
 * the answer; one that never stops writing is not waited for.
 */
function swallow(request: IncomingMessage): Promise<void> {
  return new Promise((done) => {
    let left = swallowedBytes
    const timer = setTimeout(done, swallowedMs)
    const end = () => {
      clearTimeout(timer)
      done()
    }
    request.on('data', (chunk: Buffer) => {
      left -= chunk.length
      if (left <= 0) end()
    })
    for (const event of ['end', 'close', 'error']) request.once(event, end)
    request.resume()
    if (request.readableEnded || request.destroyed) end()
  })
}

function asStatus(error: unknown) {
  const { statusCode, message } = error as { statusCode?: number; message: string }
  if (statusCode === 413) return tooLarge(largestBodyBytes)
  if (statusCode !== undefined && statusCode < 500) return badRequest(message)
  return internalError('the request could not be read')
}

async function throughTraffic(
  { traffic, serving }: Shell,
  { incoming, reply }: { incoming: Parameters<typeof handle>[1]; reply: FastifyReply },
): Promise<Answer | StreamedAnswer> {
  try {
    const passage = traffic.enter(incoming)
    reply.raw.once('close', () => passage.end(reply.raw.statusCode))
    return await passage.inTime(handle(serving, incoming))
  } catch (error) {
    return statusAnswer(toStatus(error))
  }
}

async function serve(options: Shell, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const warnings: string[] = []
  const incoming = { ...incomingOf(request), user: await options.authenticate(request.raw), warnings }
  const answer = await throughTraffic(options, { incoming, reply })
  if ('stream' in answer) {
    reply.hijack()
    await stream(answer, reply.raw)
    return reply
  }
  if (warnings.length > 0) reply.header('Warning', warnings.map(warningOf))
  return send(reply, answer)
}

/** RFC 9111 section 5.5 with the code and agent that Kubernetes uses. */
const warningOf = (text: string) => `299 - ${JSON.stringify(text.replace(/[^\x20-\x7e]/g, '?'))}`

async function stream(answer: StreamedAnswer, response: ServerResponse): Promise<void> {
  await answer.stream(response)
}

function incomingOf(request: FastifyRequest): Omit<Incoming, 'user' | 'warnings'> {
  const [path = '/', search = ''] = splitAtMark(request.raw.url ?? '/')
  return {
    method: request.method,
    path,
    query: new URLSearchParams(search),
    headers: request.headers,
    body: request.body instanceof Uint8Array ? request.body : new Uint8Array(),
    wire: wireOf(request.raw),
  }
}

/** What is lost when a request is taken apart. */
function wireOf({ url, socket, rawHeaders }: IncomingMessage): Wire {
  return { uri: url ?? '/', address: socket.remoteAddress ?? '', rawHeaders }
}

function splitAtMark(url: string): [string, string] {
  const at = url.indexOf('?')
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
}

const compress = promisify(gzip)

async function send(reply: FastifyReply, answer: Answer): Promise<FastifyReply> {
  reply.code(answer.status).header('Content-Type', answer.contentType).header('Cache-Control', 'no-cache, private')
  for (const [name, value] of Object.entries(answer.headers ?? {})) reply.header(name, value)
  const accepts = /\bgzip\b/.test(String(reply.request.headers['accept-encoding'] ?? ''))
  if (!accepts || answer.body.length < compressedFromBytes) return reply.send(answer.body)
  const body = await compress(answer.body, { level: 1 })
  return reply.header('Content-Encoding', 'gzip').header('Vary', 'Accept-Encoding').send(body)
}
