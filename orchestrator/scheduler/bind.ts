import { resources } from '../api/resources.ts'
import type { Binding, Pod } from '../api/types.ts'
import type { ApiClient } from '../client/api-client.ts'

/** POSTs the pod's `binding`: from then on it is its node's. Throws what the API server answers. */
export async function bind(client: ApiClient, pod: Pod, nodeName: string): Promise<void> {
  const { namespace = '', name = '', uid = '' } = pod.metadata ?? {}
  const binding: Binding = {
    apiVersion: 'v1',
    kind: 'Binding',
    metadata: { namespace, name, uid },
    target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
  }
  await client.createSubresource(resources.pods, { namespace, name }, 'binding', binding)
}
