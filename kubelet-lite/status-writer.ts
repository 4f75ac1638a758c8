import { resources } from '../orchestrator/api/resources.ts'
import type { Pod, PodStatus } from '../orchestrator/api/types.ts'
import type { ApiClient } from '../orchestrator/client/api-client.ts'
import { hasCode } from '../runtime/base/errors.ts'

/** Writes `pods/status`, only when it says something new. */
export class StatusWriter {
  readonly #client: ApiClient
  /** The last status that was written, as text, by UID: newer than what the watch has shown so far. */
  readonly #written = new Map<string, string>()

  constructor(client: ApiClient) {
    this.#client = client
  }

  /** A pod that is gone meanwhile, or has become another pod of that name, is left alone. */
  async write(pod: Pod, status: PodStatus): Promise<void> {
    const { uid = '', name = '', namespace = '' } = pod.metadata ?? {}
    const text = stable(status)
    if (this.#written.get(uid) === text || (!this.#written.has(uid) && stable(pod.status) === text)) return
    try {
      const body = { metadata: { uid }, status: withRemovals(pod.status, status) }
      await this.#client.patch(resources.pods, { namespace, name }, { type: 'merge', body, subresource: 'status' })
      this.#written.set(uid, text)
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND') && !hasCode(error, 'CONFLICT')) throw error
    }
  }

  forget(uid: string): void {
    this.#written.delete(uid)
  }
}

/** Keys that the old status has and the new one has not, set to null: that is how a merge patch removes them (RFC 7386). */
function withRemovals(before: PodStatus | undefined, after: PodStatus): Record<string, unknown> {
  const gone = Object.keys(before ?? {}).filter((key) => !(key in after))
  return { ...Object.fromEntries(gone.map((key) => [key, null])), ...after }
}

/** JSON with sorted keys. */
function stable(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    each !== null && typeof each === 'object' && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  )
}
