/** What every cluster has from the start. */
import { hasCode } from '../../runtime/base/errors.ts'
import { resources } from '../api/resources.ts'
import type { ApiClient } from '../client/api-client.ts'

const systemNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

/** Makes those of the system's namespaces that are missing. */
export async function createSystemNamespaces(client: ApiClient): Promise<void> {
  await Promise.all(
    systemNamespaces.map((name) =>
      client.create(resources.namespaces, { metadata: { name } }).catch((error: unknown) => {
        if (!hasCode(error, 'ALREADY_EXISTS')) throw error
      }),
    ),
  )
}
