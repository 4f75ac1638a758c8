import { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '../../runtime/base/clock.ts'
import { authenticatedGroup, type User } from '../api/user.ts'

interface Known {
  readonly user: User | null
  /** Milliseconds since the epoch. */
  readonly expires: number
}

const known = new WeakMap<TLSSocket, Known>()

/**
 * The user of a connection: CN is his name, each O a group (RFC 4514 names; Kubernetes' x509 authenticator). The
 * TLS server asks for a certificate and takes any; only one that our own authority signed and has not revoked counts,
 * and only until it expires, however long the connection lives. Null: nobody.
 */
export function userOfConnection(socket: TLSSocket, clock: Clock): User | null {
  const found = known.get(socket) ?? learn(socket)
  return clock.now() < found.expires ? found.user : null
}

function learn(socket: TLSSocket): Known {
  const found = knownOf(socket)
  known.set(socket, found)
  return found
}

const nobody: Known = { user: null, expires: Number.POSITIVE_INFINITY }

function knownOf(socket: TLSSocket): Known {
  if (!socket.authorized) return nobody
  const { subject, raw } = socket.getPeerCertificate()
  const [name] = [subject?.CN ?? []].flat()
  if (!name || !raw) return nobody
  const certificate = new X509Certificate(raw)
  const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase()
  const user: User = {
    name,
    groups: [...[subject.O ?? []].flat(), authenticatedGroup],
    extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${fingerprint}`] },
  }
  return { user, expires: Date.parse(certificate.validTo) }
}
