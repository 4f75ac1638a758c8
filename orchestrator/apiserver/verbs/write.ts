/** What all verbs that change something share. */
import { hasCode } from '../../../runtime/base/errors.ts'
import type { Annotate } from '../../admission/admission.ts'
import type { Kind } from '../../api/kinds/kind.ts'
import { badRequest, invalid } from '../../api/status.ts'
import type { KubeObject } from '../../api/types.ts'
import type { User } from '../../api/user.ts'
import { validateMetadata } from '../../api/validate/metadata.ts'
import { allOf, none, type Problem } from '../../api/validate/problem.ts'
import type { ObjectPlace } from '../objects.ts'

export interface WriteOptions {
  readonly user: User
  readonly dryRun: boolean
  /** The name under which the writer owns what it writes (`metadata.managedFields`). */
  readonly manager: string
  /** The version that the client speaks, when it is not the stored one. */
  readonly servedAs?: Kind
  /** Takes sentences for `Warning` headers. */
  warn(text: string): void
  /** Takes facts for the audit log. */
  readonly annotate?: Annotate
}

/** What admission is told of a write besides what is written. */
export function tellAdmission({ user, dryRun, warn, annotate }: WriteOptions) {
  return { user, dryRun, warn, ...(annotate ? { annotate } : {}) }
}

export interface Patched {
  readonly object: KubeObject
  /** True if there was none: an applied configuration makes its object. */
  readonly created: boolean
}

/** False for a write to what there is, whatever its revision: so it is said by leaving it out, and by 0. */
export function namesRevision(resourceVersion: string | undefined): resourceVersion is string {
  return Boolean(resourceVersion) && resourceVersion !== '0'
}

/** Throws BAD_REQUEST for an object that says of itself that it is another one than the path does. */
export function refuseOtherPlace(place: ObjectPlace, { metadata }: KubeObject): void {
  if (place.namespace !== undefined && metadata?.namespace && metadata.namespace !== place.namespace) {
    throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
  }
  if (!metadata?.name) {
    throw badRequest(`the name of the object (${place.name} based on URL) was undeterminable: name must be provided`)
  }
  if (metadata.name !== place.name) {
    throw badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${place.name})`)
  }
}

/** Throws INVALID when there are problems. */
export function refuseIfInvalid(kind: Kind, object: KubeObject, problems: readonly Problem[]): void {
  if (problems.length > 0) throw invalid(kind, object.metadata?.name ?? object.metadata?.generateName ?? '', problems)
}

/** Everything that is wrong with an object on its own. */
export function problemsOf(kind: Kind, object: KubeObject): readonly Problem[] {
  return allOf(validateMetadata(kind, object), kind.strategy.validate?.(object) ?? none)
}

/** Each lost race is somebody else's success, so this is reached only when something is wrong. */
const attempts = 1000

/**
 * Runs an optimistic change again when somebody else was faster. `isConditional` says that the caller named the
 * revision: then the conflict is his to solve.
 */
export async function untilNoConflict<T>(isConditional: boolean, change: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await change()
    } catch (error) {
      if (isConditional || attempt === attempts || !hasCode(error, 'CONFLICT')) throw error
    }
  }
}
