import { hasCode } from '../../../runtime/base/errors.ts'
import { type AdmissionRequest, mutate, tellEnded, validate } from '../../admission/admission.ts'
import { isEqual } from '../../api/equal.ts'
import { conflict, invalid, notFound } from '../../api/status.ts'
import { warningsAbout } from '../../api/support.ts'
import type { KubeObject, ObjectMeta } from '../../api/types.ts'
import { validateMetadata, validateMetadataUpdate } from '../../api/validate/metadata.ts'
import { invalidValue } from '../../api/validate/problem.ts'
import { keyOf, type ObjectPlace, typed } from '../objects.ts'
import { isSameOwnership, ownedWrite, ownersAfter, setOwners } from '../ownership.ts'
import type { Registry } from '../registry.ts'
import { getNewest, reachNewest, removeStored, replaceStored } from '../stored.ts'
import { createObject } from './create.ts'
import {
  namesRevision,
  problemsOf,
  refuseIfInvalid,
  refuseOtherPlace,
  tellAdmission,
  untilNoConflict,
  type WriteOptions,
} from './write.ts'

export interface UpdateRequest extends WriteOptions {
  readonly subresource?: string
  /** The next state, from the current one: both for PUT (which ignores its argument) and for patches. */
  next(current: KubeObject): KubeObject
  /** True if the caller named the revision that he saw: then a conflict is his to solve. */
  readonly isConditional: boolean
  /** Who owns what after `next` has been asked, when that is not as after any update: an applier owns what it applies. */
  readonly owners?: () => ObjectMeta['managedFields']
}

/**
 * Replaces an object. `next` gives a private copy, which is taken over. Throws NOT_FOUND, CONFLICT, INVALID, and what
 * admission says.
 */
export function updateObject(registry: Registry, place: ObjectPlace, request: UpdateRequest): Promise<KubeObject> {
  return untilNoConflict(request.isConditional, async () => {
    const old = await getNewest(registry, place)
    return updateOnce(registry, place, { ...request, old, object: request.next(old) })
  })
}

/** PUT: `object` is the whole next state. Makes it where the kind allows that. */
export async function putObject(
  registry: Registry,
  place: ObjectPlace,
  request: WriteOptions & { object: KubeObject; subresource?: string },
): Promise<{ object: KubeObject; created: boolean }> {
  const { kind, name } = place
  const { object, ...options } = request
  refuseOtherPlace(place, object)
  const metadata = object.metadata ?? {}
  if (!namesRevision(metadata.resourceVersion)) delete metadata.resourceVersion
  await reachNewest(registry)
  if (kind.strategy.createOnUpdate && !request.subresource && !registry.cacheOf(kind).get(keyOf(place))) {
    if (metadata.uid)
      throw conflict(kind, name, `Precondition failed: UID in precondition: ${metadata.uid}, UID in object meta: `)
    if (metadata.resourceVersion) throw notFound(kind, name)
    return { object: await createObject(registry, place, { ...options, object }), created: true }
  }
  if (kind.strategy.unconditionalUpdate === false && !metadata.resourceVersion) {
    throw invalid(kind, name, [invalidValue('metadata.resourceVersion', 0, 'must be specified for an update')])
  }
  const text = JSON.stringify(object)
  const isConditional = Boolean(metadata.resourceVersion)
  const next = () => JSON.parse(text) as KubeObject
  return { object: await updateObject(registry, place, { ...options, isConditional, next }), created: false }
}

type Change = Pick<OneUpdate, 'subresource' | 'old' | 'object'>

interface OneUpdate extends WriteOptions {
  readonly subresource?: string
  readonly owners?: () => ObjectMeta['managedFields']
  readonly old: KubeObject
  readonly object: KubeObject
}

async function updateOnce(registry: Registry, place: ObjectPlace, request: OneUpdate): Promise<KubeObject> {
  const { kind } = place
  const { old, object, subresource } = request
  refuseOtherVersion(place, object, old)
  keepSystemFields(object, old)
  kind.strategy.setDefaults?.(object)
  const owners = request.owners
    ? request.owners()
    : ownersAfter(registry, ownedWrite(kind, request), { old, next: object })
  const admission = {
    verb: 'update' as const,
    ...place,
    object,
    old,
    ...tellAdmission(request),
    ...(subresource ? { subresource } : {}),
  }
  try {
    return await admitAndUpdate(registry, place, { ...request, admission, owners })
  } finally {
    tellEnded(registry.admission, admission)
  }
}

async function admitAndUpdate(
  registry: Registry,
  place: ObjectPlace,
  request: Omit<OneUpdate, 'owners'> & { admission: AdmissionRequest; owners: ObjectMeta['managedFields'] },
): Promise<KubeObject> {
  const { kind } = place
  const { old, object, owners, admission } = request
  await mutate(registry.admission, admission)
  applyStrategy(place, request)
  setOwners(object, isSameOwnership(owners, old.metadata?.managedFields) ? old.metadata?.managedFields : owners)
  const isNew = kind.strategy.isNewGeneration?.(object, old) ?? false
  if (object.metadata && old.metadata?.generation !== undefined) {
    object.metadata.generation = old.metadata.generation + (isNew ? 1 : 0)
  }
  refuseIfInvalid(kind, object, problemsOfUpdate(place, request))
  await validate(registry.admission, admission)
  for (const text of warningsAbout(kind, object)) request.warn(text)
  const next = typed(kind, object)
  if (isEqual(withRevisionOf(next, old), old)) return old
  if (request.dryRun) return withRevisionOf(next, old)
  // In one step: an update first and a deletion then would leave a corpse when we are killed between the two.
  if (isFinished(next)) return removeStored(registry, place, old)
  try {
    return await replaceStored(registry, place, { object: next, old })
  } catch (error) {
    throw hasCode(error, 'NOT_FOUND') ? conflict(kind, place.name) : error
  }
}

function applyStrategy({ kind }: ObjectPlace, { subresource, object, old }: Change): void {
  if (subresource === 'status') {
    const { ownerReferences: _, ...metadata } = object.metadata ?? {}
    const { ownerReferences } = old.metadata ?? {}
    object.metadata = { ...metadata, ...(ownerReferences ? { ownerReferences } : {}) }
    kind.strategy.beforeStatusUpdate?.(object, old)
  } else if (subresource) kind.strategy.through?.[subresource]?.before(object, old)
  else kind.strategy.beforeUpdate?.(object, old)
}

type PartialMeta = { [Field in keyof ObjectMeta]?: ObjectMeta[Field] | undefined }

function withoutUndefined(metadata: PartialMeta): ObjectMeta {
  return Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== undefined))
}

function problemsOfUpdate({ kind }: ObjectPlace, { subresource, object, old }: Change) {
  const ofMetadata = validateMetadataUpdate(object, old)
  // Subresources take the spec over from what is stored.
  if (subresource) {
    const ofPart = kind.strategy.through?.[subresource]?.validate(object, old) ?? []
    return [...ofMetadata, ...validateMetadata(kind, object), ...ofPart]
  }
  return [...ofMetadata, ...problemsOf(kind, object), ...(kind.strategy.validateUpdate?.(object, old) ?? [])]
}

function refuseOtherVersion({ kind, name }: ObjectPlace, object: KubeObject, old: KubeObject): void {
  const { uid, resourceVersion } = object.metadata ?? {}
  if (uid && uid !== old.metadata?.uid) {
    throw conflict(
      kind,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata?.uid}`,
    )
  }
  if (resourceVersion && resourceVersion !== old.metadata?.resourceVersion) throw conflict(kind, name)
}

/** What no client changes; a client that leaves it out means no harm. */
function keepSystemFields(object: KubeObject, old: KubeObject): void {
  const before = old.metadata ?? {}
  const {
    selfLink: _link,
    generation: _generation,
    deletionTimestamp: _deletion,
    deletionGracePeriodSeconds: _grace,
    ...given
  } = object.metadata ?? {}
  object.metadata = {
    ...given,
    ...withoutUndefined({
      name: before.name,
      namespace: before.namespace,
      uid: before.uid,
      creationTimestamp: before.creationTimestamp,
      generation: before.generation,
      generateName: given.generateName ?? before.generateName,
      deletionTimestamp: before.deletionTimestamp,
      deletionGracePeriodSeconds: before.deletionGracePeriodSeconds,
    }),
  }
}

function withRevisionOf(object: KubeObject, old: KubeObject): KubeObject {
  const resourceVersion = old.metadata?.resourceVersion
  return { ...object, metadata: { ...object.metadata, ...(resourceVersion ? { resourceVersion } : {}) } }
}

/** True if a deletion waited only for finalizers, and there are none left. */
export function isFinished(object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata ?? {}
  const inSpec = (object as { spec?: { finalizers?: string[] } }).spec?.finalizers ?? []
  return deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0 && finalizers.length + inSpec.length === 0
}
