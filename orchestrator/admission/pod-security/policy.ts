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

const privileged: Standard = { level: 'privileged', version: 'latest' }
/** For namespaces that say nothing, unless somebody says otherwise. */
export const nothingForbidden: Policy = { enforce: privileged, audit: privileged, warn: privileged }

type Labels = Readonly<Record<string, string>>

/** Of the labels, and of the annotations in the audit log. */
export const prefix = 'pod-security.kubernetes.io/'

/** What the labels say, and where they say nothing, `usual`. A wrong level enforces `restricted`, and neither warns nor audits. */
export function policyOf(labels: Labels | undefined, usual = nothingForbidden): Policy {
  const enforce = standardOf(labels, 'enforce', { usual: usual.enforce, whenWrong: 'restricted' })
  const warn = standardOf(labels, 'warn', { usual: usual.warn, whenWrong: 'privileged' })
  // Whom more is forbidden than he is warned of is warned of it, too, unless the namespace says otherwise.
  const isSilent = own(labels, `${prefix}warn`) === undefined && isLevel(own(labels, `${prefix}enforce`))
  const isMore = levels.indexOf(enforce.level) > levels.indexOf(warn.level)
  const version = own(labels, `${prefix}warn-version`) === undefined ? enforce.version : warn.version
  return {
    enforce,
    audit: standardOf(labels, 'audit', { usual: usual.audit, whenWrong: 'privileged' }),
    warn: isSilent && isMore ? { level: enforce.level, version } : warn,
  }
}

function standardOf(
  labels: Labels | undefined,
  mode: string,
  { usual, whenWrong }: { usual: Standard; whenWrong: Level },
): Standard {
  const level = own(labels, prefix + mode)
  const version = own(labels, `${prefix}${mode}-version`)
  return {
    level: level === undefined ? usual.level : isLevel(level) ? level : whenWrong,
    version: version === undefined ? usual.version : versionOf(version),
  }
}

const versionOf = (text: string) => (isVersion(text) && text !== 'latest' ? Number(text.slice(3)) : 'latest')

const isLevel = (text: string | undefined): text is Level => levels.some((level) => level === text)
const isVersion = (text: string) => text === 'latest' || /^v1\.(\d|[1-9]\d*)$/.test(text)

/**
 * The `defaults` of a PodSecurityConfiguration, such as `enforce: baseline` and `enforce-version: v1.30`; what is not there is
 * privileged, by the latest version. Throws an Error with the field that is wrong.
 */
export function usualPolicy(defaults: Readonly<Record<string, unknown>>): Policy {
  const unknown = Object.keys(defaults).find((name) => !modes.some((mode) => [mode, `${mode}-version`].includes(name)))
  if (unknown !== undefined) throw new Error(`defaults: unknown field ${JSON.stringify(unknown)}`)
  const read = (name: string, usual: string, isRight: (text: string) => boolean, words: string) => {
    const text = defaults[name] ?? usual
    if (typeof text === 'string' && isRight(text)) return text
    throw new Error(`defaults.${name}: ${JSON.stringify(text)} is not ${words}`)
  }
  const standardIn = (mode: string): Standard => ({
    level: read(mode, 'privileged', isLevel, `one of ${levels.join(', ')}`) as Level,
    version: versionOf(read(`${mode}-version`, 'latest', isVersion, '"latest" or "v1.x"')),
  })
  return { enforce: standardIn('enforce'), audit: standardIn('audit'), warn: standardIn('warn') }
}

/** Labels that mean nothing. */
export function policyProblems(labels: Labels | undefined): readonly Problem[] {
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
