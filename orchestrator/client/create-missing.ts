import { hasCode } from '../../runtime/base/errors.ts'
import type { KubeObject, ResourceRef } from '../api/types.ts'
import type { ApiClient } from './api-client.ts'

/** The object of the same name and namespace, if there is one. */
export async function findObject<T extends KubeObject>(
  client: ApiClient,
  resource: ResourceRef<T>,
  { metadata = {} }: T,
): Promise<T | undefined> {
  const { name = '', namespace } = metadata
  try {
    return await client.get(resource, { name, ...(namespace ? { namespace } : {}) })
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined
    throw error
  }
}

/** Makes the object unless there is one of its name, which stays as it is. */
export async function createMissing<T extends KubeObject>(
  client: ApiClient,
  resource: ResourceRef<T>,
  object: T,
): Promise<void> {
  if ((await findObject(client, resource, object)) !== undefined) return
  await client.create(resource, object).catch((error: unknown) => {
    // Another server of the same store was faster.
    if (!hasCode(error, 'ALREADY_EXISTS')) throw error
  })
}
