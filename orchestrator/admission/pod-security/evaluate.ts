import type { ObjectMeta } from '../../api/types.ts'
import { baseline } from './baseline.ts'
import type { Control, PodSpec, Violation } from './control.ts'
import { newestMinor, type Standard } from './policy.ts'
import { restricted } from './restricted.ts'

/** Everything about the pod that the standard forbids; empty when it is content. */
export function violationsOf(standard: Standard, metadata: ObjectMeta, spec: PodSpec): Violation[] {
  const minor = Math.min(standard.version === 'latest' ? newestMinor : standard.version, newestMinor)
  const judged = { metadata, spec, minor }
  return controlsOf(standard, minor).flatMap((control) => control.check(judged) ?? [])
}

function controlsOf({ level }: Standard, minor: number): Control[] {
  if (level === 'privileged') return []
  const isThere = ({ since }: Control) => since <= minor
  const lower = baseline.filter(isThere)
  if (level === 'baseline') return lower
  const upper = restricted.filter(isThere)
  const overridden = upper.map(({ overrides }) => overrides)
  return [...lower.filter(({ id }) => !overridden.includes(id)), ...upper]
}

/** As one sentence: `hostPort (container "a" uses hostPort 80), privileged (…)`. */
export function violationsText(violations: readonly Violation[]): string {
  return violations.map(({ reason, detail }) => `${reason} (${detail})`).join(', ')
}
