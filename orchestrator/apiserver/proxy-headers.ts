/** What of a request's and an answer's headers goes through a proxy, and how. Source: k8s.io/apimachinery/pkg/util/proxy. */
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'

/** Of one connection, not of the request (RFC 9110 section 7.6.1). */
const hopByHop = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade']

/** What shows who the client is to us is not for whoever runs the pod. */
function isCredential(name: string): boolean {
  return (
    name === 'authorization' ||
    name === 'proxy-authorization' ||
    name.startsWith('impersonate-') ||
    name.startsWith('x-remote-')
  )
}

export interface ProxiedRequest {
  readonly headers: IncomingHttpHeaders
  /** The path with its query, below the proxy; begins with a slash. */
  readonly path: string
  /** The client's path up to there: `/api/v1/namespaces/a/pods/b/proxy`. */
  readonly prefix: string
}

/** The headers that go on. `isUpgrade` keeps the two that ask for it. */
export function requestHeaders(request: ProxiedRequest, { isUpgrade }: { isUpgrade: boolean }): OutgoingHttpHeaders {
  const named = String(request.headers.connection ?? '')
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
  const left = Object.entries(request.headers).filter(
    ([name]) => name !== 'host' && !hopByHop.includes(name) && !named.includes(name) && !isCredential(name),
  )
  const { host = '', upgrade } = request.headers
  const chunked = request.headers['transfer-encoding'] ? { 'transfer-encoding': 'chunked' } : {}
  return {
    ...Object.fromEntries(left),
    ...(isUpgrade ? { connection: 'Upgrade', upgrade } : chunked),
    'x-forwarded-host': host,
    'x-forwarded-proto': 'https',
    'x-forwarded-uri': `${request.prefix}${request.path.split('?')[0]}`,
  }
}

/** The answer's headers: `Location` leads through the proxy again, and no other origin is let in. */
export function answerHeaders(
  headers: IncomingHttpHeaders,
  request: ProxiedRequest & { readonly authority: string },
): OutgoingHttpHeaders {
  const left = Object.entries(headers).filter(
    ([name]) => !hopByHop.includes(name) && !name.startsWith('access-control-'),
  )
  const { location } = headers
  return { ...Object.fromEntries(left), ...(location ? { location: throughProxy(location, request) } : {}) }
}

/** A link of the target's as the client has to follow it. Those to elsewhere, and relative ones, stay. */
export function throughProxy(
  link: string,
  { prefix, headers, authority }: ProxiedRequest & { readonly authority: string },
): string {
  const { host = '' } = headers
  const isAbsolute = /^[a-z][a-z0-9+.-]*:\/\//i.test(link)
  if (!isAbsolute && !link.startsWith('/')) return link
  const url = URL.canParse(link, `http://${authority}`) ? new URL(link, `http://${authority}`) : undefined
  // A URL leaves the usual port out.
  const own = new URL(`http://${authority}`).host
  if (!url || ![own, authority, host].includes(url.host)) return link
  if (url.pathname === prefix || url.pathname.startsWith(`${prefix}/`)) return link
  return `https://${host}${prefix}${url.pathname}${url.search}${url.hash}`
}
