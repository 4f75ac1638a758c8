import { hasCode } from '../../runtime/base/errors.ts'
import type { KubeObject, ResourceRef } from '../api/types.ts'
import type { ApiClient, ObjectKey } from '../client/api-client.ts'
import { updateUntilNoConflict } from '../client/update-on-conflict.ts'

/** Takes a finalizer from an object, unless that is gone already. */
export async function removeFinalizer<T extends KubeObject>(
  target: { client: ApiClient; resource: ResourceRef<T>; key: ObjectKey },
  finalizer: string,
): Promise<void> {
  const others = ({ metadata }: T) => (metadata?.finalizers ?? []).filter((each) => each !== finalizer)
  try {
    await updateUntilNoConflict(target, {
      next: (object) => ({ ...object, metadata: { ...object.metadata, finalizers: others(object) } }),
    })
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error
  }
}
