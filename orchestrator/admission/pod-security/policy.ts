/** The labels of a namespace that choose a standard. Source: k8s.io/pod-security-admission/api/helpers.go, KEP-2579. */
import { own } from '../../api/own.ts'
import { invalidValue, type Problem } from '../../api/validate/problem.ts'

/** The version of Kubernetes whose standards are known here. */
export const newestMinor = 36

const levels = ['privileged', 'baseline', 'restricted'] as const
type Level = (typeof levels)[number]
const modes = ['enforce', 'audit', 'warn'] as const

export interface Standard {
  readonly level: Level
  /** A minor version, as in `v1.25`. */
  readonly version: number | 'latest'
}

export type Policy = Readonly<Record<(typeof modes)[number], Standard>>
type Labels = Readonly<Record<string, string>>

/** Of the labels, and of the annotations in the audit log. */
export const prefix = 'pod-security.kubernetes.io/'

/** What the labels say. A wrong level enforces `restricted`, and neither warns nor audits. */
export function policyOf(labels: Labels | undefined): Policy {
  const enforce = standardOf(labels, 'enforce', 'restricted')
  const warn = standardOf(labels, 'warn', 'privileged')
  // Who enforces something is warned of it, too, unless the namespace says otherwise.
  const isSilent = own(labels, `${prefix}warn`) === undefined && isLevel(own(labels, `${prefix}enforce`))
  const version = own(labels, `${prefix}warn-version`) === undefined ? enforce.version : warn.version
  return {
    enforce,
    audit: standardOf(labels, 'audit', 'privileged'),
    warn: isSilent && enforce.level !== 'privileged' ? { level: enforce.level, version } : warn,
  }
}

function standardOf(labels: Labels | undefined, mode: string, whenWrong: Level): Standard {
  const level = own(labels, prefix + mode)
  const version = own(labels, `${prefix}${mode}-version`)
  return {
    level: level === undefined ? 'privileged' : isLevel(level) ? level : whenWrong,
    version: version !== undefined && isVersion(version) && version !== 'latest' ? Number(version.slice(3)) : 'latest',
  }
}

const isLevel = (text: string | undefined): text is Level => levels.some((level) => level === text)
const isVersion = (text: string) => text === 'latest' || /^v1\.(\d|[1-9]\d*)$/.test(text)

/** Labels that mean nothing. */
export function policyProblems(labels: Labels | undefined): Problem[] {
  return modes.flatMap((mode) => {
    const level = own(labels, prefix + mode)
    const version = own(labels, `${prefix}${mode}-version`)
    const at = (name: string) => `metadata.labels[${prefix}${name}]`
    return [
      ...(level === undefined || isLevel(level)
        ? []
        : [invalidValue(at(mode), level, `must be one of ${levels.join(', ')}`)]),
      ...(version === undefined || isVersion(version)
        ? []
        : [invalidValue(at(`${mode}-version`), version, 'must be "latest" or "v1.x"')]),
    ]
  })
}

/** `restricted:v1.25`. */
export function standardText({ level, version }: Standard): string {
  return `${level}:${version === 'latest' ? version : `v1.${version}`}`
}

/** True if `next` may forbid what `before` allowed. */
export function isStricter(next: Standard, before: Standard): boolean {
  if (next.level === 'privileged' || standardText(next) === standardText(before)) return false
  return next.version !== before.version || levels.indexOf(next.level) > levels.indexOf(before.level)
}
