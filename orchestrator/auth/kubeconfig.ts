import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { stringify } from 'yaml'
import type { KeyPair } from './pki.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')

/** Writes a kubeconfig for one user of one cluster, both called "coracle", readable by its owner only. */
export function writeKubeconfig(path: string, access: { server: string; caPem: string; user: KeyPair }): void {
  const name = 'coracle'
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: { server: access.server, 'certificate-authority-data': base64(access.caPem) } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    users: [
      {
        name,
        user: {
          'client-certificate-data': base64(access.user.certificatePem),
          'client-key-data': base64(access.user.privateKeyPem),
        },
      },
    ],
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  writeFileSync(`${path}.new`, stringify(config), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
