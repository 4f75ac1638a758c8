/**
 * `proxy` of pods, services and nodes: the request goes on to them, all methods and upgrades, and the answer comes back.
 * Nothing is followed: a redirect is the client's to follow, through us. Not here: links in HTML are not rewritten.
 */
import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { messageOf } from '../../runtime/base/errors.ts'
import { type StatusError, unavailable } from '../api/status.ts'
import { type Answer, refusalOf, type StreamedAnswer } from './answer.ts'
import { joinUpgraded, type KubeletAccess, type UpgradingClient } from './kubelet-proxy.ts'
import { answerHeaders, type ProxiedRequest, requestHeaders } from './proxy-headers.ts'
import type { ProxyTarget } from './proxy-target.ts'

/** By name, not by import: that reads all of node:http, and reading one of its names loads a fetch client: 50 ms and 14 MB. */
const { request: httpRequest } = process.getBuiltinModule('node:http')

const proxied = /^(\/api\/v1\/(?:namespaces\/[^/?]+\/(?:pods|services)|nodes)\/[^/?]+\/proxy)((?:[/?].*)?)$/

/** The client's URL in two: what is ours, and what is for the target. */
export function splitProxyUrl(url: string): { prefix: string; path: string } {
  const [, prefix = url, path = ''] = proxied.exec(url) ?? []
  return { prefix, path }
}

/** The target's answer to a request without upgrade. The body of the request must not have been read. */
export function proxyAnswer(
  target: ProxyTarget,
  access: KubeletAccess,
  { method, url }: { method: string; url: string },
): Answer | StreamedAnswer {
  const { prefix, path } = splitProxyUrl(url)
  // A page at the root has relative links, which need the slash (kubernetes/kubernetes issue 4958).
  if (!path.startsWith('/') && (method === 'GET' || method === 'HEAD')) {
    return { status: 301, contentType: 'text/plain', body: '', headers: { Location: `${prefix}/${path}` } }
  }
  // The URL as the client wrote it: a query that is parsed and written again is another one.
  return { stream: (response) => carry(target, access, { response, ...splitProxyUrl(response.req.url ?? url) }) }
}

const rooted = (path: string) => (path.startsWith('/') ? path : `/${path}`)

function carry(
  target: ProxyTarget,
  access: KubeletAccess,
  { response, prefix, path }: { response: ServerResponse; prefix: string; path: string },
): Promise<void> {
  const client = response.req
  const forwarded = { headers: client.headers, prefix, path: rooted(path) }
  return new Promise((resolve) => {
    const asked = requestTo(target, access, {
      method: client.method ?? 'GET',
      path: forwarded.path,
      headers: requestHeaders(forwarded, { isUpgrade: false }),
    })
    response.once('close', () => {
      asked.destroy()
      resolve()
    })
    asked.once('error', (error) => {
      if (response.headersSent) response.destroy()
      else refuse(response, unreachable(error))
      resolve()
    })
    asked.once('response', (answer) => {
      const headers = answerHeaders(answer.headers, { ...forwarded, authority: authorityOf(target) })
      response.writeHead(answer.statusCode ?? 502, headers)
      response.flushHeaders()
      answer.on('error', () => response.destroy())
      answer.pipe(response)
    })
    client.pipe(asked)
  })
}

function refuse(response: ServerResponse, error: StatusError): void {
  const { status, contentType, body } = refusalOf(error.status, response.req)
  response.writeHead(status, { 'Content-Type': contentType }).end(body)
}

const unreachable = (error: unknown) => unavailable(`error trying to reach service: ${messageOf(error)}`)

const authorityOf = ({ host, port }: ProxyTarget) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)

function requestTo(target: ProxyTarget, access: KubeletAccess, options: RequestOptions): ClientRequest {
  const { scheme, host, port, isKubelet } = target
  const where = { ...options, host, port, agent: false as const }
  if (scheme === 'http') return httpRequest(where)
  // Nobody has told us by what to know a pod; a kubelet we know.
  if (!isKubelet) return httpsRequest({ ...where, rejectUnauthorized: false })
  const { caPem: ca, client } = access
  return httpsRequest({ ...where, ca, cert: client.certificatePem, key: client.privateKeyPem })
}

/** Joins the client's connection with one to the target, if that agrees to the upgrade. */
export function proxyUpgrade(target: ProxyTarget, access: KubeletAccess, client: UpgradingClient): void {
  const { prefix, path } = splitProxyUrl(client.request.url ?? '/')
  const forwarded: ProxiedRequest = { headers: client.request.headers, prefix, path: rooted(path) }
  const asked = requestTo(target, access, {
    method: client.request.method ?? 'GET',
    path: forwarded.path,
    headers: requestHeaders(forwarded, { isUpgrade: true }),
  })
  joinUpgraded(asked, client, unreachable)
}

/** True for a request whose body goes on as it comes. */
export function hasForeignBody({ url = '' }: Pick<IncomingMessage, 'url'>): boolean {
  return proxied.test(url)
}
