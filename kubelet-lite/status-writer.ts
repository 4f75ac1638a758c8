import { resources } from '../orchestrator/api/resources.ts'
import type { Pod, PodStatus } from '../orchestrator/api/types.ts'
import type { ApiClient } from '../orchestrator/client/api-client.ts'
import { hasCode } from '../runtime/base/errors.ts'

interface Written {
  /** What was sent, as text. */
  text: string
  /** The object as the API server answered. */
  pod: Pod
}

/** Writes `pods/status`, only when it says something new. */
export class StatusWriter {
  readonly #client: ApiClient
  /** By UID. */
  readonly #written = new Map<string, Written>()

  constructor(client: ApiClient) {
    this.#client = client
  }

  /**
   * The pod with its newest status: what the watch shows may be older than what was written, and a status that is
   * computed from an old one tells the same change twice, with two times.
   */
  newest(pod: Pod): Pod {
    const written = this.#written.get(pod.metadata?.uid ?? '')
    return written && revisionOf(written.pod) > revisionOf(pod) ? ({ ...pod, status: written.pod.status } as Pod) : pod
  }

  /** A pod that is gone meanwhile, or has become another pod of that name, is left alone. */
  async write(pod: Pod, status: PodStatus): Promise<void> {
    const { uid = '', name = '', namespace = '' } = pod.metadata ?? {}
    const text = stable(status)
    const written = this.#written.get(uid)
    const isLatest = written !== undefined && revisionOf(written.pod) >= revisionOf(pod)
    if (isLatest ? written.text === text : stable(pod.status) === text) return
    try {
      const body = { metadata: { uid }, status: patchOf(pod.status, status) }
      const patch = { type: 'strategic', body, subresource: 'status' } as const
      const answer = await this.#client.patch(resources.pods, { namespace, name }, patch)
      this.#written.set(uid, { text, pod: answer })
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND') && !hasCode(error, 'CONFLICT')) throw error
    }
  }

  forget(uid: string): void {
    this.#written.delete(uid)
  }
}

/** Resource versions of one kind can be compared (KEP-5504). */
const revisionOf = (pod: Pod) => BigInt(pod.metadata?.resourceVersion ?? 0)

/**
 * A strategic merge patch: conditions are merged by type, so only those that changed are sent, and the others, which
 * somebody else may be changing now, stay as they are. What the old status has and the new one has not is set to null.
 */
function patchOf(before: PodStatus | undefined, after: PodStatus): Record<string, unknown> {
  const conditions = (after.conditions ?? []).flatMap((condition) => {
    const old = before?.conditions?.find((each) => each.type === condition.type)
    return stable(old) === stable(condition) ? [] : [withRemovals(old, condition)]
  })
  const kept = new Set(after.conditions?.map(({ type }) => type))
  const gone = (before?.conditions ?? []).filter(({ type }) => !kept.has(type))
  const removals = gone.map(({ type }) => ({ type, $patch: 'delete' }))
  return { ...withRemovals(before, after), conditions: [...conditions, ...removals] }
}

function withRemovals(before: object | undefined, after: object): Record<string, unknown> {
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
