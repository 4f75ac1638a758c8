import { hasCode } from '../../../runtime/base/errors.ts'
import { mutate, validate } from '../../admission/admission.ts'
import { conflict, invalid } from '../../api/status.ts'
import type { KubeObject, Status } from '../../api/types.ts'
import { invalidValue, unsupported } from '../../api/validate/problem.ts'
import { copyOf, type ObjectPlace } from '../objects.ts'
import { type Registry, timestamp } from '../registry.ts'
import { getNewest, removeStored, replaceStored } from '../stored.ts'
import type { Collection } from './create.ts'
import { dependentsOf, orphan } from './dependents.ts'
import { type ListQuery, listObjects } from './list.ts'
import { isFinished } from './update.ts'
import { tellAdmission, untilNoConflict, type WriteOptions } from './write.ts'

export interface DeleteRequest extends WriteOptions {
  readonly gracePeriodSeconds?: number
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string }
  readonly propagationPolicy?: string
}

export interface Deleted {
  /** The last state that was stored. */
  readonly object: KubeObject
  /** False while a grace period or finalizers hold it. */
  readonly gone: boolean
}

/**
 * Ends an object: at once, or, while it has a grace period or finalizers, by setting `metadata.deletionTimestamp`.
 * Throws NOT_FOUND, CONFLICT (a precondition), and what admission says.
 */
export function deleteObject(registry: Registry, place: ObjectPlace, request: DeleteRequest): Promise<Deleted> {
  refuseUnknownPolicy(request)
  return untilNoConflict(false, async () => {
    const old = await getNewest(registry, place)
    refuseUnlessPreconditions(place, old, request)
    await careForDependents(registry, old, request)
    const admission = { verb: 'delete' as const, ...place, old, ...tellAdmission(request) }
    await mutate(registry.admission, admission)
    await validate(registry.admission, admission)
    return deleteOnce(registry, place, { old, request })
  })
}

function refuseUnknownPolicy({ propagationPolicy }: DeleteRequest): void {
  const supported = ['Foreground', 'Background', 'Orphan']
  if (propagationPolicy === undefined || supported.includes(propagationPolicy)) return
  throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [
    unsupported('propagationPolicy', propagationPolicy, [...supported, 'nil']),
  ])
}

/**
 * Kubernetes marks the object with a finalizer and leaves the rest to the garbage collector. There is none yet, so nobody
 * would ever take the finalizer away: what needs no collector is done at once, and a foreground deletion of an owner,
 * which would have to wait for its dependents' ends, is refused.
 */
async function careForDependents(registry: Registry, old: KubeObject, request: DeleteRequest): Promise<void> {
  const { propagationPolicy, dryRun } = request
  const { uid = '' } = old.metadata ?? {}
  if (propagationPolicy !== 'Foreground' && propagationPolicy !== 'Orphan') return
  const dependents = dependentsOf(registry, uid)
  if (propagationPolicy === 'Orphan' && !dryRun) {
    for (const dependent of dependents) await orphan(registry, dependent, uid)
  }
  if (propagationPolicy === 'Orphan' || dependents.length === 0) return
  throw invalid({ group: 'meta.k8s.io', kind: 'DeleteOptions' }, '', [
    invalidValue('propagationPolicy', 'Foreground', `not supported for an owner of ${dependents.length} objects`),
  ])
}

function refuseUnlessPreconditions(
  { kind, name }: ObjectPlace,
  old: KubeObject,
  { preconditions }: DeleteRequest,
): void {
  const { uid, resourceVersion } = preconditions ?? {}
  const meta = old.metadata ?? {}
  if (uid !== undefined && uid !== meta.uid) {
    throw conflict(kind, name, `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${meta.uid}`)
  }
  if (resourceVersion !== undefined && resourceVersion !== meta.resourceVersion) {
    throw conflict(
      kind,
      name,
      `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${meta.resourceVersion}`,
    )
  }
}

async function deleteOnce(
  registry: Registry,
  place: ObjectPlace,
  { old, request }: { old: KubeObject; request: DeleteRequest },
): Promise<Deleted> {
  const marked = markedForDeletion(registry, place, { old, request })
  if (marked === 'unchanged') return { object: old, gone: false }
  if (isFinished(marked)) {
    if (request.dryRun) return { object: old, gone: true }
    return { object: await removeStored(registry, place, old), gone: true }
  }
  if (request.dryRun) return { object: marked, gone: false }
  return { object: await replaceStored(registry, place, { object: marked, old }), gone: false }
}

/**
 * A copy of `old` as its deletion leaves it. A second deletion can only shorten the grace period.
 * Source: `BeforeDelete` in k8s.io/apiserver/pkg/registry/rest/delete.go.
 */
function markedForDeletion(
  registry: Registry,
  { kind }: ObjectPlace,
  { old, request }: { old: KubeObject; request: DeleteRequest },
): KubeObject | 'unchanged' {
  const graceSeconds = kind.strategy.gracePeriodSeconds?.(old, request.gracePeriodSeconds) ?? 0
  const pending = old.metadata?.deletionTimestamp ? (old.metadata.deletionGracePeriodSeconds ?? 0) : undefined
  const isShorter = pending === undefined || (request.gracePeriodSeconds !== undefined && graceSeconds < pending)
  if (!isShorter && !isFinished(old)) return 'unchanged'
  const object = copyOf(old)
  object.metadata = {
    ...object.metadata,
    deletionTimestamp: timestamp(registry.clock, graceSeconds),
    deletionGracePeriodSeconds: graceSeconds,
  }
  if (kind.resource === 'namespaces') Object.assign(object, { status: { ...statusOf(object), phase: 'Terminating' } })
  return object
}

const statusOf = (object: KubeObject) => (object as { status?: object }).status

/** So many deletions of one request are on their way at a time: the store writes them together. */
const mostAtOnce = 100

/**
 * Deletes all that the query selects; the objects as they were. After the first that fails no more are begun: throws what
 * `deleteObject` throws when those on their way have ended. What somebody else has deleted is no failure.
 */
export async function deleteCollection(
  registry: Registry,
  collection: Collection,
  request: DeleteRequest & { query: ListQuery },
): Promise<readonly KubeObject[]> {
  const { items } = await listObjects(registry, collection, request.query)
  const left = items.values()
  const failures: unknown[] = []
  const deleteInTurn = async () => {
    for (const { metadata } of left) {
      const { name = '', namespace } = metadata ?? {}
      const place = { kind: collection.kind, name, ...(namespace ? { namespace } : {}) }
      try {
        await deleteObject(registry, place, request)
      } catch (error) {
        if (!hasCode(error, 'NOT_FOUND')) failures.push(error)
      }
      if (failures.length > 0) return
    }
  }
  await Promise.all(Array.from({ length: mostAtOnce }, deleteInTurn))
  if (failures.length > 0) throw failures[0]
  return items
}

/** What a client reads when the object is gone. */
export function deletedStatus({ kind, name }: ObjectPlace, object: KubeObject): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: {
      name,
      ...(kind.group ? { group: kind.group } : {}),
      kind: kind.resource,
      ...(object.metadata?.uid ? { uid: object.metadata.uid } : {}),
    },
  }
}
