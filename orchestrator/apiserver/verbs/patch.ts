import { hasCode, messageOf } from '../../../runtime/base/errors.ts'
import { never } from '../../../runtime/base/never.ts'
import type { Kind } from '../../api/kinds/kind.ts'
import { converterWords, goText } from '../../api/patch/go-words.ts'
import { applyJsonPatch, checkJsonPatch, mostOperations } from '../../api/patch/json-patch.ts'
import { applyMergePatch } from '../../api/patch/merge-patch.ts'
import { applyStrategicMergePatch } from '../../api/patch/strategic-merge-patch.ts'
import { isRecord, jsonTypeOf } from '../../api/schema/decode-scalar.ts'
import { badRequest, entityTooLarge, invalid, type StatusError, unprocessable } from '../../api/status.ts'
import type { KubeObject } from '../../api/types.ts'
import { invalidValue } from '../../api/validate/problem.ts'
import type { PatchType } from '../../client/api-client.ts'
import { type DecodeOptions, decodeBody } from '../body.ts'
import type { ObjectPlace } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { shownBy, takenBy } from '../shown.ts'
import { applyObject } from './apply.ts'
import { updateObject } from './update.ts'
import { namesRevision, type Patched, refuseOtherPlace, type WriteOptions } from './write.ts'

export interface PatchRequest extends WriteOptions, DecodeOptions {
  readonly type: PatchType
  /** For `apply`: take over what others own with another value. */
  readonly force?: boolean
  readonly patch: unknown
  readonly subresource?: string
}

/** Changes an object by a patch. Throws NOT_FOUND, BAD_REQUEST, INVALID, CONFLICT (a patch that names a resourceVersion). */
export async function patchObject(registry: Registry, place: ObjectPlace, request: PatchRequest): Promise<Patched> {
  const { patch, type, force = false } = request
  if (type === 'apply') return applyObject(registry, place, { ...request, config: patch, force })
  const kind = request.servedAs ?? place.kind
  const apply = patchedBy(kind, { ...request, type })
  const revision = revisionNamedBy(type, patch)
  const object = await updateObject(registry, place, {
    ...request,
    isConditional: Boolean(revision),
    next(current) {
      const patched = takenBy(kind, apply(shownBy(kind, current)))
      refuseOtherPlace(place, patched)
      // A patch says what changes; that it was computed from the newest state is sure already.
      if (!revision && patched.metadata) delete patched.metadata.resourceVersion
      return patched
    },
  })
  return { object, created: false }
}

/** The revision on which the patch insists; undefined when it takes what there is. */
function revisionNamedBy(type: Exclude<PatchType, 'apply'>, patch: unknown): string | undefined {
  const operations: readonly { path?: string; value?: unknown }[] = type === 'json' && Array.isArray(patch) ? patch : []
  const revision =
    type === 'json'
      ? operations.find(({ path }) => path === '/metadata/resourceVersion')?.value
      : (patch as KubeObject | null)?.metadata?.resourceVersion
  return typeof revision === 'string' && namesRevision(revision) ? revision : undefined
}

export interface PlainPatch extends DecodeOptions {
  readonly type: Exclude<PatchType, 'apply'>
  readonly patch: unknown
}

/** A function from an object of `kind` to what the patch makes of it. Reads the patch once. Throws BAD_REQUEST, INVALID. */
export function patchedBy(kind: Kind, request: PlainPatch): (current: KubeObject) => KubeObject {
  const apply = prepared(kind, request.type, request.patch)
  return (current) => decodePatched(kind, apply(current), request)
}

/** Reads the patch once, so that a retry after a conflict does not. */
function prepared(kind: Kind, type: Exclude<PatchType, 'apply'>, patch: unknown): (current: KubeObject) => unknown {
  switch (type) {
    case 'json': {
      if (!Array.isArray(patch)) throw badRequest(`error decoding patch: ${notOfType(patch, '[]handlers.jsonPatchOp')}`)
      if (patch.length > mostOperations) {
        const limit = `The allowed maximum operations in a JSON patch is ${mostOperations}`
        throw entityTooLarge(`${limit}, got ${patch.length}`)
      }
      const operations = guarded(unprocessable, () => checkJsonPatch(patch))
      return (current) => guarded(unprocessable, () => applyJsonPatch(current, operations))
    }
    case 'merge':
      if (!isRecord(patch)) throw badRequest(`error decoding patch: ${notOfType(patch, goMap)}`)
      return (current) => applyMergePatch(current, patch)
    case 'strategic':
      if (!isRecord(patch)) throw badRequest(notOfType(patch, goMap))
      return (current) => guarded(badRequest, () => applyStrategicMergePatch(kind.definition, current, patch))
    default:
      return never(type, 'read a patch')
  }
}

const goMap = 'map[string]interface {}'

const notOfType = (patch: unknown, type: string) =>
  `json: cannot unmarshal ${jsonTypeOf(patch)} into Go value of type ${type}`

function guarded<T>(asStatus: (message: string) => StatusError, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw hasCode(error, 'BAD_PATCH') ? asStatus(messageOf(error)) : error
  }
}

/**
 * What a patch made of the object is judged as its author's input: 422, and the patch is what was wrong, or what came of
 * it. Source: k8s.io/apiserver/pkg/endpoints/handlers/patch.go.
 */
function decodePatched(kind: Kind, patched: unknown, request: PlainPatch): KubeObject {
  const isStrategic = request.type === 'strategic'
  return decodeBody(kind, patched, request, (reason, cause) => {
    const wrong = isStrategic ? goText(request.patch) : JSON.stringify(patched)
    const detail = (isStrategic && hasCode(cause, 'DECODE') && converterWords(cause.facts)) || reason
    return invalid({ group: '', kind: '' }, '', [invalidValue('patch', wrong, detail)])
  })
}
