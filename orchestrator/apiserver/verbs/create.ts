import { hasCode } from '../../../runtime/base/errors.ts'
import { type AdmissionRequest, mutate, tellEnded, validate } from '../../admission/admission.ts'
import { generatedName } from '../../api/generated-name.ts'
import type { Kind } from '../../api/kinds/kind.ts'
import { alreadyExists, badRequest } from '../../api/status.ts'
import { warningsAbout } from '../../api/support.ts'
import type { KubeObject, ObjectMeta } from '../../api/types.ts'
import { allOf, none } from '../../api/validate/problem.ts'
import type { ObjectPlace } from '../objects.ts'
import { atRevision, copyOf, keyOf, typed } from '../objects.ts'
import { ownedWrite, ownersAfter, setOwners } from '../ownership.ts'
import { type Registry, timestamp } from '../registry.ts'
import { createStored, reachNewest } from '../stored.ts'
import { problemsOf, refuseIfInvalid, tellAdmission, type WriteOptions } from './write.ts'

/** Where something is to be made. */
export interface Collection {
  readonly kind: Kind
  readonly namespace?: string
  /** The version that the client speaks, when it is another one: it names fields for selectors. */
  readonly servedAs?: Kind
}

export interface CreateRequest extends WriteOptions {
  readonly object: KubeObject
  /** Who owns what, when that is known already: an applier what it applies. */
  readonly owners?: ObjectMeta['managedFields']
}

/** As kube-apiserver does (KEP-4420): a name that was made up can be made up again. */
const nameAttempts = 8

/**
 * Makes an object from a private copy, which is taken over. Throws ALREADY_EXISTS, INVALID, and what admission says.
 */
export function createObject(registry: Registry, collection: Collection, request: CreateRequest): Promise<KubeObject> {
  const { name, generateName } = request.object.metadata ?? {}
  const create = name || !generateName ? createOnce : createUntilNew
  return create(registry, collection, request)
}

async function createUntilNew(registry: Registry, collection: Collection, request: CreateRequest): Promise<KubeObject> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await createOnce(registry, collection, { ...request, object: copyOf(request.object) })
    } catch (error) {
      if (attempt === nameAttempts || !hasCode(error, 'ALREADY_EXISTS')) throw error
    }
  }
}

async function createOnce(registry: Registry, collection: Collection, request: CreateRequest): Promise<KubeObject> {
  const { kind } = collection
  const { object } = request
  // Admission asks whether there is a namespace, and whether an address is free.
  const reached = reachNewest(registry)
  if (reached !== undefined) await reached
  const metadata = newMetadata(registry, collection, object)
  object.metadata = metadata
  const place: ObjectPlace = { ...collection, name: metadata.name ?? '' }
  kind.strategy.setDefaults?.(object)
  const owners = request.owners ?? ownersAfter(registry, ownedWrite(kind, request), { next: object })
  const admission = { verb: 'create' as const, ...place, object, ...tellAdmission(request) }
  try {
    return await admitAndCreate(registry, request, { place, admission, owners })
  } finally {
    tellEnded(registry.admission, admission)
  }
}

interface Admitting {
  readonly place: ObjectPlace
  readonly admission: AdmissionRequest
  readonly owners: CreateRequest['owners']
}

async function admitAndCreate(
  registry: Registry,
  request: CreateRequest,
  { place, admission, owners }: Admitting,
): Promise<KubeObject> {
  const { object } = request
  const { kind } = place
  const mutated = mutate(registry.admission, admission)
  if (mutated !== undefined) await mutated
  kind.strategy.beforeCreate?.(object, { user: request.user })
  setOwners(object, owners)
  refuseIfInvalid(kind, object, allOf(problemsOf(kind, object), kind.strategy.validateCreate?.(object) ?? none))
  const validated = validate(registry.admission, admission)
  if (validated !== undefined) await validated
  for (const text of warningsAbout(kind, object)) request.warn(text)
  if (!request.dryRun) return await createStored(registry, place, object)
  if (registry.cacheOf(kind).get(keyOf(place))) throw alreadyExists(kind, place.name)
  const answer = atRevision(typed(kind, object), 0)
  const { resourceVersion: _, ...withoutRevision } = answer.metadata ?? {}
  return { ...answer, metadata: withoutRevision }
}

function newMetadata(registry: Registry, { kind, namespace }: Collection, object: KubeObject): ObjectMeta {
  const {
    deletionTimestamp: _deletion,
    deletionGracePeriodSeconds: _grace,
    resourceVersion,
    selfLink: _link,
    ...given
  } = object.metadata ?? {}
  if (resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created')
  if (namespace !== undefined && given.namespace && given.namespace !== namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  const name = given.name || (given.generateName ? generatedName(given.generateName, registry.random) : undefined)
  return {
    ...given,
    ...(name ? { name } : {}),
    ...(kind.namespaced && namespace !== undefined ? { namespace } : {}),
    uid: registry.newUid(),
    creationTimestamp: timestamp(registry.clock),
    ...(kind.strategy.isNewGeneration ? { generation: 1 } : {}),
  }
}
