/**
 * Server-side apply: `PATCH` with `application/apply-patch+yaml`.
 * Source: KEP-555, k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
 */
import { hasCode } from '../../../runtime/base/errors.ts'
import { difference, type FieldSet, isEmpty, setOf, union } from '../../api/apply/field-set.ts'
import { managersOf } from '../../api/apply/managers.ts'
import { type Applied, applyConfig, type Change, ownersAfterUpdate } from '../../api/apply/own.ts'
import { isJson, type Json } from '../../api/apply/shape.ts'
import { undeclaredIn } from '../../api/apply/undeclared.ts'
import type { Kind } from '../../api/kinds/kind.ts'
import { apiVersionOf } from '../../api/kinds/table.ts'
import { badRequest, conflict, notFound, untypedPatch } from '../../api/status.ts'
import type { KubeObject, ObjectMeta } from '../../api/types.ts'
import { asWritten, conflictError, kubectlManager, lastAppliedFields, withLastApplied } from '../applied-config.ts'
import { type DecodeOptions, decodeBody } from '../body.ts'
import { keyOf, type ObjectPlace } from '../objects.ts'
import { changeOf, entriesWith, ownedWrite } from '../ownership.ts'
import type { Registry } from '../registry.ts'
import { shownBy, takenBy } from '../shown.ts'
import { createObject } from './create.ts'
import { updateObject } from './update.ts'
import type { Patched, WriteOptions } from './write.ts'

export interface ApplyRequest extends WriteOptions, DecodeOptions {
  readonly config: unknown
  /** Take over what others own with another value. */
  readonly force: boolean
  readonly subresource?: string
}

/** Makes the object what `config` says, or makes it. Throws BAD_REQUEST, CONFLICT (fields of others), INVALID, NOT_FOUND. */
export async function applyObject(registry: Registry, place: ObjectPlace, request: ApplyRequest): Promise<Patched> {
  const config = readConfig(place, request)
  if (registry.cacheOf(place.kind).get(keyOf(place))) {
    return { object: await applyToExisting(registry, place, { ...request, config }), created: false }
  }
  try {
    return { object: await applyToNothing(registry, place, { ...request, config }), created: true }
  } catch (error) {
    if (!hasCode(error, 'ALREADY_EXISTS') || request.dryRun) throw error
    return { object: await applyToExisting(registry, place, { ...request, config }), created: false }
  }
}

interface Applying extends ApplyRequest {
  readonly config: KubeObject
}

const spoken = (place: ObjectPlace, { servedAs = place.kind }: ApplyRequest) => servedAs

function readConfig(place: ObjectPlace, request: ApplyRequest): KubeObject {
  const kind = spoken(place, request)
  const given = request.config
  if (isJson(given)) refuseMisfit(kind, given)
  // What is unknown has been refused.
  const decoded = decodeBody<KubeObject>(kind, given, { ...request, fieldValidation: 'Ignore' })
  const config = asWritten(given, decoded) as KubeObject
  const { name, namespace } = config.metadata ?? {}
  if (name && name !== place.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${place.name})`)
  }
  if (namespace && namespace !== place.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  const where = place.namespace === undefined ? {} : { namespace: place.namespace }
  return { ...config, metadata: { ...config.metadata, name: place.name, ...where } }
}

/** Source: k8s.io/apimachinery/pkg/util/managedfields/internal, versioncheck.go and structuredmerge.go. */
function refuseMisfit(kind: Kind, given: KubeObject): void {
  const { apiVersion = '', kind: name = '', metadata } = given
  const [version = '', group = ''] = apiVersion.split('/').reverse()
  const type = `${group}/${version}, Kind=${name}`
  if (apiVersion !== apiVersionOf(kind) || name !== kind.kind) throw badRequest(`invalid object type: ${type}`)
  if (metadata?.managedFields) throw badRequest('metadata.managedFields must be nil')
  const problems = undeclaredIn(kind.definition, given as Json)
  if (problems.length > 0) {
    throw untypedPatch(`${metadata?.namespace ?? ''}/${metadata?.name ?? ''}; ${type}`, problems)
  }
}

async function applyToNothing(registry: Registry, place: ObjectPlace, request: Applying): Promise<KubeObject> {
  const { config, ...options } = request
  const kind = spoken(place, request)
  const { uid, resourceVersion } = config.metadata ?? {}
  if (uid) {
    const reason = `uid mismatch: the provided object specified uid ${uid}, and no existing object was found`
    throw conflict(kind, place.name, reason)
  }
  if (request.subresource || resourceVersion) throw notFound(kind, place.name)
  const state = { live: {}, managers: [], operation: 'Apply' } as const
  const change = { ...changeOf(registry, ownedWrite(place.kind, request), state), live: {} }
  const { managers } = unlessConflict(applyConfig(change, config, true))
  const object = takenBy(kind, decodeBody<KubeObject>(kind, config, { ...request, fieldValidation: 'Ignore' }))
  return createObject(registry, place, { ...options, object, owners: entriesWith(managers) })
}

function applyToExisting(registry: Registry, place: ObjectPlace, request: Applying): Promise<KubeObject> {
  const kind = spoken(place, request)
  const { config } = request
  let owners: ObjectMeta['managedFields']
  return updateObject(registry, place, {
    ...request,
    isConditional: Boolean(config.metadata?.resourceVersion),
    owners: () => owners,
    next(current) {
      const change = changeOn(registry, place, { request, current })
      const applied = apply(change, request, lastAppliedFields(kind, shownBy(kind, current)))
      owners = entriesWith(applied.managers)
      const object = request.manager === kubectlManager ? withLastApplied(applied.object, config) : applied.object
      const next = takenBy(kind, decodeBody<KubeObject>(kind, object, { ...request, fieldValidation: 'Ignore' }))
      // That it was computed from the newest state is sure already.
      if (!config.metadata?.resourceVersion && next.metadata) delete next.metadata.resourceVersion
      return next
    },
  })
}

type LiveChange = Change & { readonly live: KubeObject }

function changeOn(
  registry: Registry,
  place: ObjectPlace,
  { request, current }: { request: Applying; current: KubeObject },
): LiveChange {
  const managers = managersOf(current.metadata?.managedFields)
  const write = ownedWrite(place.kind, request)
  const change = changeOf(registry, write, { live: current, managers, operation: 'Apply' })
  if (managers.length > 0) return { ...change, live: current }
  // Nobody kept books until now: all that is there belongs to those who came before.
  const before = {
    ...change,
    live: undefined,
    by: { ...change.by, manager: 'before-first-apply', operation: 'Update' },
  }
  return { ...change, live: current, managers: ownersAfterUpdate(before as Change, current) }
}

function apply(change: LiveChange, { config, force, manager }: Applying, lastApplied: FieldSet) {
  const applied = applyConfig(change, config, force)
  if (!applied.conflicts || manager !== kubectlManager) return unlessConflict(applied)
  const disputed = applied.conflicts.reduce<FieldSet>((set, { path }) => union(set, setOf(path)), {})
  const left = difference(disputed, lastApplied)
  if (isEmpty(left)) return unlessConflict(applyConfig(change, config, true))
  const conflicts = applied.conflicts.filter(({ path }) => !isEmpty(difference(setOf(path), lastApplied)))
  return unlessConflict({ conflicts })
}

function unlessConflict(applied: Applied) {
  if (applied.conflicts) throw conflictError(applied.conflicts)
  return { object: applied.object as KubeObject, managers: applied.managers }
}
