/**
 * The kubelet's own HTTPS server, at the paths of the real one; the API server is its only client.
 *
 *   GET  /containerLogs/{namespace}/{pod}/{container}          text
 *   UPG  /exec|/attach/{namespace}/{pod}/{container}           SPDY/3.1 or WebSocket
 *   UPG  /portForward/{namespace}/{pod}
 *   GET  /healthz, /pods, /stats/summary                       text, JSON
 *   GET  /metrics/resource                                     Prometheus' text
 */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { messageOf } from '../../runtime/base/errors.ts'
import { BadRequest, NotFound } from './errors.ts'
import { serveLogs } from './logs.ts'
import { portForward } from './port-forward.ts'
import { remoteCommand } from './remote-command.ts'
import { resourceMetrics, summaryOf } from './summary.ts'
import type { KubeletServerOptions, Target } from './target.ts'
import { UsageMeter } from './usage-meter.ts'

/** A command is in the head of its request: whatever the API server takes from a client must get through here. */
const largestHeadBytes = 512 * 1024

export class KubeletServer {
  readonly #options: KubeletServerOptions
  readonly #server: Server
  readonly #sockets = new Set<Duplex>()
  readonly #meter: UsageMeter

  constructor(options: KubeletServerOptions) {
    this.#options = options
    this.#meter = new UsageMeter(options)
    const { tls } = options
    // Only certificates of the cluster's own CA get as far as HTTP.
    const certified = { requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.2' } as const
    this.#server = createServer({ ...tls, ...certified, maxHeaderSize: largestHeadBytes })
    this.#server.on('request', (request, response) => void this.#serve(request, response))
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head))
    this.#server.on('connection', (socket: Duplex) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  /** Resolves with the port. */
  start(): Promise<number> {
    const { host, port } = this.#options
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, () => resolve((this.#server.address() as AddressInfo).port))
    })
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      refuseOthers(request)
      const url = new URL(request.url ?? '/', 'https://kubelet')
      const [verb = '', ...rest] = url.pathname.slice(1).split('/').map(decodeURIComponent)
      if (verb === 'healthz') return void response.end('ok')
      if (verb === 'pods')
        return void response
          .setHeader('content-type', 'application/json')
          .end(JSON.stringify({ kind: 'PodList', apiVersion: 'v1', items: this.#options.pods() }))
      if (url.pathname === '/stats/summary' || url.pathname === '/metrics/resource')
        return await this.#tellUsage(url.pathname, response)
      if (verb !== 'containerLogs' || request.method !== 'GET') throw new NotFound('404 page not found')
      await serveLogs(this.#target(rest, url.searchParams), response)
    } catch (error) {
      answerError(response, error)
    }
  }

  async #tellUsage(path: string, response: ServerResponse): Promise<void> {
    const { nodeName } = this.#options
    const measured = await this.#meter.measure()
    if (path === '/stats/summary') {
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify(summaryOf(nodeName, measured)))
    } else {
      response.setHeader('content-type', 'text/plain; version=0.0.4; charset=utf-8')
      response.end(resourceMetrics(measured))
    }
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    socket.on('error', () => socket.destroy())
    try {
      refuseOthers(request)
      const url = new URL(request.url ?? '/', 'https://kubelet')
      const [verb = '', ...rest] = url.pathname.slice(1).split('/').map(decodeURIComponent)
      const target = this.#target(rest, url.searchParams)
      if (verb === 'exec' || verb === 'attach') await remoteCommand(target, verb, { request, socket, head })
      else if (verb === 'portForward') await portForward(target, { request, socket, head })
      else throw new NotFound('404 page not found')
    } catch (error) {
      this.#options.log.debug(`${request.url}: ${messageOf(error)}`)
      refuseUpgrade(socket, error)
    }
  }

  #target([namespace, name, container = '']: string[], query: URLSearchParams): Target {
    const pod = this.#options
      .pods()
      .find((each) => each.metadata?.namespace === namespace && each.metadata?.name === name)
    if (!pod) throw new NotFound(`pod "${name}" not found`)
    return { options: this.#options, pod, container, query }
  }
}

/** The API server's certificate says system:masters; a node's or a user's is no ticket to another node's containers. */
function refuseOthers(request: IncomingMessage): void {
  const subject = (request.socket as TLSSocket).getPeerCertificate().subject as { O?: string | string[] } | undefined
  if (![subject?.O].flat().includes('system:masters')) throw new Forbidden('only the API server may ask')
}

class Forbidden extends Error {}

/** A metav1.Status: clients show its message where a plain text would read "rejected for an unknown reason". */
function answerTo(error: unknown): { code: number; body: string } {
  const [code, reason] =
    error instanceof Forbidden
      ? [403, 'Forbidden']
      : error instanceof NotFound
        ? [404, 'NotFound']
        : error instanceof BadRequest
          ? [400, 'BadRequest']
          : [500, 'InternalError']
  const kind = { kind: 'Status', apiVersion: 'v1', metadata: {} }
  const body = JSON.stringify({ ...kind, status: 'Failure', message: messageOf(error), reason, code })
  return { code: Number(code), body }
}

function answerError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy()
  const { code, body } = answerTo(error)
  response.writeHead(code, { 'content-type': 'application/json' }).end(body)
}

function refuseUpgrade(socket: Duplex, error: unknown): void {
  if (socket.destroyed || socket.writableEnded) return
  const { code, body } = answerTo(error)
  const length = `content-length: ${Buffer.byteLength(body)}`
  const head = `HTTP/1.1 ${code} Error\r\ncontent-type: application/json\r\n${length}`
  socket.end(`${head}\r\nconnection: close\r\n\r\n${body}`)
}
