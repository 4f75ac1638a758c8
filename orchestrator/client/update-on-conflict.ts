import { hasCode } from '../../runtime/base/errors.ts'
import type { KubeObject, ResourceRef } from '../api/types.ts'
import type { ApiClient, ObjectKey } from './api-client.ts'

export interface Change<T> {
  readonly subresource?: 'status' | 'finalize'
  /** The next state from the current one, which must not be changed; `undefined` when nothing is to be done. */
  next(current: T): T | undefined
}

const attempts = 10

/**
 * Reads, changes and writes an object, again from the start when somebody else was faster. Resolves to what is stored.
 * Throws NOT_FOUND, INVALID, and CONFLICT after ten attempts.
 */
export async function updateUntilNoConflict<T extends KubeObject>(
  { client, resource, key }: { client: ApiClient; resource: ResourceRef<T>; key: ObjectKey },
  change: Change<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const current = await client.get(resource, key)
    const next = change.next(current)
    if (next === undefined) return current
    try {
      return await client.update(resource, next, change.subresource)
    } catch (error) {
      if (attempt === attempts || !hasCode(error, 'CONFLICT')) throw error
    }
  }
}
