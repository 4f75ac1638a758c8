/** The certificates and keys of one server: its own folder's, or those that several servers share. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../../runtime/base/clock.ts'
import { mastersGroup } from '../api/user.ts'
import { type KeyPair, openPki, type Pki } from '../auth/pki.ts'
import { openTokenKeys, readTokenKeys, type TokenKeys } from '../auth/tokens/keys.ts'

/** What servers of one cluster have in common, as PEM. What is left out is made in the data folder at the first start. */
export interface SharedKeys {
  /** Signs certificates: of servers, of nodes and of administrators. */
  readonly authority?: KeyPair
  /** Whose client certificates are believed besides, one or more certificates. */
  readonly clientCaPem?: string
  /** Signs tokens of service accounts. */
  readonly tokenSigningKeyPem?: string
  /** Whose tokens are believed besides: public or private keys. */
  readonly tokenKeyPems?: readonly string[]
}

export interface ServerKeys {
  readonly pki: Pki
  readonly tokens: TokenKeys
  readonly tls: KeyPair & { readonly caPem: string }
  /** For the kubelets. */
  readonly client: KeyPair
  /** Certificates that no longer count, where there is such a list. */
  readonly revoked?: string
}

/** Under these names clients in the cluster and on this machine reach a server. */
const ownNames = [
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
  'localhost',
  '127.0.0.1',
]

/** `names` are the further ones of this server. Throws BAD_AUTHORITY, BAD_TOKEN_KEY for keys that cannot be used. */
export async function openServerKeys(
  folder: string,
  { names, shared = {}, clock }: { names: readonly string[]; shared?: SharedKeys | undefined; clock: Clock },
): Promise<ServerKeys> {
  const pki = await openPki(folder, clock, shared.authority)
  const hosts = [...new Set([...ownNames, ...names])]
  const serving = await pki.keep('apiserver', hosts, () => pki.issueServing({ commonName: 'coracle-apiserver', hosts }))
  const client = await pki.keep('apiserver-kubelet-client', [], () =>
    pki.issueClient({ commonName: 'kube-apiserver-kubelet-client', organizations: [mastersGroup] }),
  )
  const { tokenSigningKeyPem, tokenKeyPems = [], clientCaPem = '' } = shared
  return {
    pki,
    tokens: tokenSigningKeyPem ? readTokenKeys(tokenSigningKeyPem, tokenKeyPems) : openTokenKeys(folder, tokenKeyPems),
    tls: { ...serving, caPem: `${pki.caPem.trimEnd()}\n${clientCaPem}` },
    client,
    ...revokedIn(folder),
  }
}

/** An operator who revokes certificates puts the list (RFC 5280, section 5) beside the authority. It is read at the start. */
function revokedIn(folder: string): { revoked?: string } {
  const file = join(folder, 'ca.crl')
  return existsSync(file) ? { revoked: readFileSync(file, 'utf8') } : {}
}
