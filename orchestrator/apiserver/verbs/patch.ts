import { hasCode, messageOf } from '../../../runtime/base/errors.ts'
import { never } from '../../../runtime/base/never.ts'
import type { Kind } from '../../api/kinds/kind.ts'
import { applyJsonPatch, checkJsonPatch } from '../../api/patch/json-patch.ts'
import { applyMergePatch } from '../../api/patch/merge-patch.ts'
import { applyStrategicMergePatch } from '../../api/patch/strategic-merge-patch.ts'
import { badRequest, invalid, type StatusError, unprocessable } from '../../api/status.ts'
import type { KubeObject } from '../../api/types.ts'
import { invalidValue } from '../../api/validate/problem.ts'
import type { PatchType } from '../../client/api-client.ts'
import { type DecodeOptions, decodeBody } from '../body.ts'
import type { ObjectPlace } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { shownBy, takenBy } from '../shown.ts'
import { applyObject } from './apply.ts'
import { updateObject } from './update.ts'
import type { Patched, WriteOptions } from './write.ts'

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
  const apply = patchedBy(kind, place.name, { ...request, type })
  const revision = type === 'json' ? undefined : (patch as KubeObject | null)?.metadata?.resourceVersion
  const object = await updateObject(registry, place, {
    ...request,
    isConditional: Boolean(revision),
    next(current) {
      const patched = takenBy(kind, apply(shownBy(kind, current)))
      // A patch says what changes; that it was computed from the newest state is sure already.
      if (!revision && patched.metadata) delete patched.metadata.resourceVersion
      return patched
    },
  })
  return { object, created: false }
}

export interface PlainPatch extends DecodeOptions {
  readonly type: Exclude<PatchType, 'apply'>
  readonly patch: unknown
}

/** A function from an object of `kind` to what the patch makes of it. Reads the patch once. Throws BAD_REQUEST, INVALID. */
export function patchedBy(kind: Kind, name: string, request: PlainPatch): (current: KubeObject) => KubeObject {
  const apply = prepared(kind, request.type, request.patch)
  return (current) => decodePatched({ kind, name }, apply(current), request)
}

/** Reads the patch once, so that a retry after a conflict does not. */
function prepared(kind: Kind, type: Exclude<PatchType, 'apply'>, patch: unknown): (current: KubeObject) => unknown {
  switch (type) {
    case 'json': {
      const operations = guarded(badRequest, () => checkJsonPatch(patch))
      return (current) => guarded(unprocessable, () => applyJsonPatch(current, operations))
    }
    case 'merge':
      if (typeof patch !== 'object' || patch === null || Array.isArray(patch))
        throw badRequest('a merge patch must be an object')
      return (current) => applyMergePatch(current, patch)
    case 'strategic':
      return (current) => guarded(badRequest, () => applyStrategicMergePatch(kind.definition, current, patch))
    default:
      return never(type, 'read a patch')
  }
}

function guarded<T>(asStatus: (message: string) => StatusError, act: () => T): T {
  try {
    return act()
  } catch (error) {
    throw hasCode(error, 'BAD_PATCH') ? asStatus(messageOf(error)) : error
  }
}

/** What a patch made of the object is judged as its author's input: 422, and the patch is what was wrong. */
function decodePatched(
  { kind, name }: { kind: Kind; name: string },
  patched: unknown,
  request: PlainPatch,
): KubeObject {
  try {
    return decodeBody(kind, patched, request)
  } catch (error) {
    if (!hasCode(error, 'BAD_REQUEST')) throw error
    const detail = messageOf(error).replace(/^.*? cannot be handled as a \w+: /, '')
    if (request.type === 'json') throw error
    throw invalid({ group: '', kind: '' }, detail.startsWith('strict') ? '' : name, [
      invalidValue('patch', request.patch, detail),
    ])
  }
}
