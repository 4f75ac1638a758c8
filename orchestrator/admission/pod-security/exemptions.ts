/** Whom no standard is for. Source: k8s.io/pod-security-admission/admission/api, KEP-2579. */
import { own } from '../../api/own.ts'
import type { User } from '../../api/user.ts'
import { type Policy, prefix, standardText } from './policy.ts'

/** Whom PodSecurity looks at, and what it holds namespaces to that say nothing (PodSecurityConfiguration). */
export interface PodSecurityConfig {
  readonly exemptions?: PodSecurityExemptions
  readonly defaults?: Policy
}

export interface PodSecurityExemptions {
  /** Of those who write, as the API server knows them. */
  readonly usernames?: readonly string[]
  readonly namespaces?: readonly string[]
  /** Of pods. */
  readonly runtimeClasses?: readonly string[]
}

/** Why nobody looks at a pod, in the word of the audit log; undefined when somebody does. */
export function exemptionOf(
  { usernames = [], namespaces = [] }: PodSecurityExemptions,
  { namespace, user }: { namespace: string; user: User },
): 'namespace' | 'user' | undefined {
  if (namespaces.includes(namespace)) return 'namespace'
  return usernames.includes(user.name) ? 'user' : undefined
}

/** The warning for labels that mean nothing, because their namespace is exempt; undefined when they want nothing either. */
export function vainLabels(
  namespace: string,
  policy: Policy,
  labels: Readonly<Record<string, string>> | undefined,
): string | undefined {
  const modes = ['enforce', 'audit', 'warn'] as const
  const isSet = (mode: string) =>
    own(labels, prefix + mode) !== undefined || own(labels, `${prefix}${mode}-version`) !== undefined
  if (modes.every((mode) => policy[mode].level === 'privileged')) return undefined
  const wanted = modes.filter((mode) => policy[mode].level !== 'privileged' && isSet(mode))
  const text = wanted.map((mode) => `${mode}=${standardText(policy[mode])}`).join(', ')
  return `namespace ${JSON.stringify(namespace)} is exempt from Pod Security, and the policy (${text}) will be ignored`
}
