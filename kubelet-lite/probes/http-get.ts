/** HTTP probes and hooks (API reference: HTTPGetAction). */
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { messageOf } from '../../runtime/base/errors.ts'
import type { Outcome } from './outcome.ts'
import { Patience } from './patience.ts'

/** By name, not by import: that reads all of node:http, and reading one of its names loads a fetch client: 50 ms and 14 MB. */
const { request: httpRequest } = process.getBuiltinModule('node:http')

export interface HttpGet {
  secure: boolean
  host: string
  port: number
  path: string
  headers: Readonly<Record<string, string>>
  timeoutMs: number
  /** A probe asks how its container is. A hook tells it something, and whatever it answers is well (upstream: pkg/kubelet/lifecycle). */
  purpose: 'probe' | 'hook'
}

const mostRequests = 10
const maxBodyBytes = 10 * 1024

/**
 * Asks once. Redirections to the same host are followed; one that leads elsewhere is not, and counts as an answer with
 * a warning: whoever can answer a probe must not make the node ask others (upstream: pkg/probe/http). Never throws.
 */
export async function httpGet(get: HttpGet): Promise<Outcome> {
  const why = 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
  const patience = new Patience(get.timeoutMs, `Get "${originOf(get)}${get.path}": ${why}`)
  try {
    return await follow(get, patience.signal)
  } finally {
    patience.end()
  }
}

async function follow(get: HttpGet, signal: AbortSignal): Promise<Outcome> {
  let at: HttpGet = get
  for (let requests = 1; ; requests++) {
    const answer = await ask(at, signal).catch((error: unknown) => messageOf(signal.aborted ? signal.reason : error))
    if (typeof answer === 'string') return { ok: false, output: answer }
    const { code, location, body } = answer
    const next = location === undefined ? undefined : redirected(at, location)
    const isLast = !next || next.host !== get.host
    if (isLast && get.purpose === 'hook') return { ok: true, output: body }
    if (isLast) return outcomeOf(code, body)
    if (requests === mostRequests) return { ok: false, output: `stopped after ${mostRequests} redirects` }
    at = next
  }
}

function outcomeOf(code: number, body: string): Outcome {
  if (code < 200 || code >= 400) return { ok: false, output: `HTTP probe failed with statuscode: ${code}` }
  if (code < 300) return { ok: true, output: body }
  return { ok: true, output: body, warning: `Probe terminated redirects, Response body: ${body}` }
}

interface HttpAnswer {
  code: number
  /** Set in a redirection. */
  location: string | undefined
  body: string
}

const agents = { probe: 'kube-probe/1.36', hook: 'kube-lifecycle/1.36' }

const redirections: readonly number[] = [301, 302, 303, 307, 308]

function ask({ secure, host, port, path, headers, purpose }: HttpGet, signal: AbortSignal): Promise<HttpAnswer> {
  const options = {
    host,
    port,
    path,
    headers: { 'user-agent': agents[purpose], accept: '*/*', connection: 'close', ...headers },
    // Upstream too: a probe asks whether somebody answers, not who.
    rejectUnauthorized: false,
    signal,
  }
  return new Promise((resolve, reject) => {
    const request = (secure ? httpsRequest : httpRequest)(options, (response) => {
      const code = response.statusCode ?? 0
      const location = redirections.includes(code) ? response.headers.location : undefined
      beginningOf(response).then((body) => resolve({ code, location, body }), reject)
    })
    request.on('error', reject)
    request.end()
  })
}

async function beginningOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= maxBodyBytes) break
  }
  return Buffer.concat(chunks).subarray(0, maxBodyBytes).toString()
}

function originOf({ secure, host, port }: HttpGet): string {
  return `${secure ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Undefined for a place that is no URL of HTTP. */
function redirected(from: HttpGet, location: string): HttpGet | undefined {
  const base = originOf(from) + from.path
  const url = URL.canParse(location, base) ? new URL(location, base) : undefined
  if (!url || !['http:', 'https:'].includes(url.protocol)) return undefined
  const secure = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  return { ...from, secure, host, port: Number(url.port) || (secure ? 443 : 80), path: url.pathname + url.search }
}
