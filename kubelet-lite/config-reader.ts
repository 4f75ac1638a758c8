import { resources } from '../orchestrator/api/resources.ts'
import type { KubeObject, ResourceRef, RuntimeClass } from '../orchestrator/api/types.ts'
import type { ApiClient } from '../orchestrator/client/api-client.ts'
import { hasCode } from '../runtime/base/errors.ts'
import type { ConfigReader } from './environment.ts'

/** Reads ConfigMaps and Secrets when they are needed. */
export function apiConfigReader(client: ApiClient): ConfigReader {
  return {
    configMap: (namespace, name) => read(client, resources.configMaps, { namespace, name }),
    secret: (namespace, name) => read(client, resources.secrets, { namespace, name }),
  }
}

/** Finds a RuntimeClass by its name when a sandbox is made; undefined when it is gone. */
export type RuntimeClassReader = (name: string) => Promise<RuntimeClass | undefined>

export function apiRuntimeClasses(client: ApiClient): RuntimeClassReader {
  return (name) => read(client, resources.runtimeClasses, { name })
}

async function read<T extends KubeObject>(
  client: ApiClient,
  resource: ResourceRef<T>,
  key: { namespace?: string; name: string },
): Promise<T | undefined> {
  try {
    return await client.get(resource, key)
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined
    throw error
  }
}
