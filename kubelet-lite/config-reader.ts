import { resources } from '../orchestrator/api/resources.ts'
import type { KubeObject, ResourceRef } from '../orchestrator/api/types.ts'
import type { ApiClient } from '../orchestrator/client/api-client.ts'
import { hasCode } from '../runtime/base/errors.ts'
import type { ConfigReader } from './environment.ts'

/** Reads ConfigMaps and Secrets when they are needed. */
export function apiConfigReader(client: ApiClient): ConfigReader {
  const read = async <T extends KubeObject>(resource: ResourceRef<T>, namespace: string, name: string) => {
    try {
      return await client.get(resource, { namespace, name })
    } catch (error) {
      if (hasCode(error, 'NOT_FOUND')) return undefined
      throw error
    }
  }
  return {
    configMap: (namespace, name) => read(resources.configMaps, namespace, name),
    secret: (namespace, name) => read(resources.secrets, namespace, name),
  }
}
