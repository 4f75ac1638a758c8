import type { Container, ObjectMeta, Pod } from '../../api/types.ts'

export type PodSpec = NonNullable<Pod['spec']>
export type SecurityContext = NonNullable<Container['securityContext']>

/** What is judged: a pod, or the template of one. */
export interface Judged {
  readonly metadata: ObjectMeta
  readonly spec: PodSpec
  /** The minor version of the standard. */
  readonly minor: number
}

export interface Violation {
  /** What kind of thing is wrong: `hostPort`. */
  readonly reason: string
  /** Where: `container "a" uses hostPort 80`. */
  readonly detail: string
}

/** One control of the Pod Security Standards. */
export interface Control {
  readonly id: string
  /** The first minor version that has it. */
  readonly since: number
  /** The control of the baseline that this one says more strictly. */
  readonly overrides?: string
  check(judged: Judged): Violation | undefined
}

/** Of every kind. */
export function containersOf({ initContainers = [], containers, ephemeralContainers = [] }: PodSpec): Container[] {
  return [...initContainers, ...containers, ...(ephemeralContainers as Container[])]
}

export function namesOf(spec: PodSpec, isBad: (container: Container) => boolean): string[] {
  return containersOf(spec)
    .filter(isBad)
    .map(({ name }) => name)
}

export function quoted(items: Iterable<string>): string {
  return [...items].map((item) => `"${item}"`).join(', ')
}

/** Each once, in order. */
export function sorted(items: Iterable<string>): string[] {
  return [...new Set(items)].sort()
}

export function plural(word: string, count: number): string {
  return count === 1 ? word : `${word}s`
}

/** `container "a"`, `containers "a", "b"`. */
export function named(word: string, names: readonly string[]): string {
  return `${plural(word, names.length)} ${quoted(names)}`
}

/** `pod and container "a"`; undefined when nobody is to blame. */
export function setters(isPodBad: boolean, containers: readonly string[]): string | undefined {
  const all = [...(isPodBad ? ['pod'] : []), ...(containers.length > 0 ? [named('container', containers)] : [])]
  return all.length > 0 ? all.join(' and ') : undefined
}

/** From 1.35 on, root in a user namespace is nobody outside (KEP-127). */
export function isInUserNamespace({ spec, minor }: Judged): boolean {
  return minor >= 35 && spec.hostUsers === false
}
