import type { TLSSocket } from 'node:tls'
import type { User } from '../api/user.ts'

const known = new WeakMap<TLSSocket, User | null>()

/**
 * The user of a connection: CN is his name, each O a group (RFC 4514 names; Kubernetes' x509 authenticator). The
 * TLS server asks for a certificate and takes any; only one that our own authority signed counts. Null: nobody.
 */
export function userOfConnection(socket: TLSSocket): User | null {
  const found = known.get(socket)
  if (found !== undefined) return found
  const user = socket.authorized ? userOfSubject(socket) : null
  known.set(socket, user)
  return user
}

function userOfSubject(socket: TLSSocket): User | null {
  const { subject } = socket.getPeerCertificate()
  const [name] = [subject?.CN ?? []].flat()
  if (!name) return null
  return { name, groups: [...[subject.O ?? []].flat(), 'system:authenticated'] }
}
