import type { IncomingHttpHeaders } from 'node:http'

/** How a browser, which cannot set the header of a WebSocket, brings its token: among the subprotocols. */
const protocolPrefix = 'base64url.bearer.authorization.k8s.io.'

/**
 * The bearer token of a request (RFC 6750), from `Authorization` or from a WebSocket's subprotocols.
 * Source: k8s.io/apiserver/pkg/authentication/request/{bearertoken,websocket}.
 */
export function bearerTokenOf(headers: IncomingHttpHeaders): string | undefined {
  const [, token] = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? '') ?? []
  if (token !== undefined) return token
  if (headers.upgrade?.toLowerCase() !== 'websocket') return undefined
  const found = protocolsOf(headers).find((each) => each.startsWith(protocolPrefix))
  return found && Buffer.from(found.slice(protocolPrefix.length), 'base64url').toString()
}

/** The same headers without a token among the subprotocols: it is not the business of who speaks them. */
export function withoutBearer(headers: IncomingHttpHeaders): IncomingHttpHeaders {
  const protocols = protocolsOf(headers)
  const others = protocols.filter((each) => !each.startsWith(protocolPrefix))
  if (others.length === protocols.length) return headers
  const { 'sec-websocket-protocol': _, ...rest } = headers
  return others.length === 0 ? rest : { ...rest, 'sec-websocket-protocol': others.join(', ') }
}

function protocolsOf(headers: IncomingHttpHeaders): string[] {
  return (headers['sec-websocket-protocol'] ?? '').split(',').map((each) => each.trim())
}
