/** AppArmor, SELinux and seccomp. */
import type { PodSpec } from './control.ts'
import {
  containersOf,
  type Judged,
  named,
  namesOf,
  plural,
  quoted,
  setters,
  sorted,
  type Violation,
} from './control.ts'

interface Profile {
  readonly type?: string
}

const isGiven = (profile: Profile | undefined) =>
  profile?.type === undefined || ['RuntimeDefault', 'Localhost'].includes(profile.type)

type ProfileField = 'appArmorProfile' | 'seccompProfile'

/** Who sets a profile that is none, and to what. */
function badProfiles(spec: PodSpec, field: ProfileField) {
  const ofPod = spec.securityContext?.[field]
  const containers = namesOf(spec, ({ securityContext }) => !isGiven(securityContext?.[field]))
  const all = [ofPod, ...containersOf(spec).map(({ securityContext }) => securityContext?.[field])]
  const values = sorted(all.filter((profile) => !isGiven(profile)).map((profile) => profile?.type ?? ''))
  return { who: setters(!isGiven(ofPod), containers), values }
}

const apparmorPrefix = 'container.apparmor.security.beta.kubernetes.io/'
const isApparmorAllowed = (profile: string) =>
  profile === '' || profile === 'runtime/default' || profile.startsWith('localhost/')

export function apparmor({ metadata, spec }: Judged): Violation | undefined {
  const { who, values } = badProfiles(spec, 'appArmorProfile')
  const annotations = Object.entries(metadata.annotations ?? {})
    .filter(([key, value]) => key.startsWith(apparmorPrefix) && !isApparmorAllowed(value))
    .map(([key, value]) => `${key}=${JSON.stringify(value)}`)
    .sort()
  const all = [...(who ? [who] : []), ...(annotations.length > 0 ? [plural('annotation', annotations.length)] : [])]
  if (all.length === 0) return undefined
  const list = [...values, ...annotations]
  return {
    reason: plural('forbidden AppArmor profile', list.length),
    detail: `${all.join(' and ')} must not set AppArmor profile type to ${quoted(list)}`,
  }
}

const seLinuxTypes = ['container_t', 'container_init_t', 'container_kvm_t']

export function seLinux({ spec, minor }: Judged): Violation | undefined {
  const types = minor >= 31 ? [...seLinuxTypes, 'container_engine_t'] : seLinuxTypes
  const isType = (type: string | undefined) => !type || types.includes(type)
  type Options = { type?: string; user?: string; role?: string } | undefined
  const isBad = (options: Options) => !isType(options?.type) || Boolean(options?.user) || Boolean(options?.role)
  const containers = namesOf(spec, ({ securityContext }) => isBad(securityContext?.seLinuxOptions))
  const ofPod = spec.securityContext?.seLinuxOptions
  const who = setters(isBad(ofPod), containers)
  if (!who) return undefined
  const all: Options[] = [ofPod, ...containersOf(spec).map(({ securityContext }) => securityContext?.seLinuxOptions)]
  const badTypes = sorted(all.flatMap((options) => (isType(options?.type) ? [] : [options?.type ?? ''])))
  const details = [
    ...(badTypes.length > 0 ? [named('type', badTypes)] : []),
    ...(all.some((options) => options?.user) ? ['user may not be set'] : []),
    ...(all.some((options) => options?.role) ? ['role may not be set'] : []),
  ]
  const detail = `${who} set forbidden securityContext.seLinuxOptions: ${details.join('; ')}`
  return { reason: 'seLinuxOptions', detail }
}

const seccompPod = 'seccomp.security.alpha.kubernetes.io/pod'
const seccompContainer = 'container.seccomp.security.alpha.kubernetes.io/'
const isSeccompAllowed = (profile: string) =>
  ['runtime/default', 'docker/default'].includes(profile) || profile.startsWith('localhost/')

/** Before 1.19 there were annotations instead of the field. */
export function seccompBaseline({ metadata, spec, minor }: Judged): Violation | undefined {
  if (minor >= 19) return explicitSeccomp(spec)
  const keys = [seccompPod, ...containersOf(spec).map(({ name }) => seccompContainer + name)]
  const bad = keys.flatMap((key) => {
    const value = metadata.annotations?.[key]
    return value === undefined || isSeccompAllowed(value) ? [] : [`${key}=${JSON.stringify(value)}`]
  })
  if (bad.length === 0) return undefined
  const list = sorted(bad)
  return { reason: 'seccompProfile', detail: `forbidden ${plural('annotation', list.length)} ${list.join(', ')}` }
}

function explicitSeccomp(spec: PodSpec): Violation | undefined {
  const { who, values } = badProfiles(spec, 'seccompProfile')
  if (!who) return undefined
  return {
    reason: 'seccompProfile',
    detail: `${who} must not set securityContext.seccompProfile.type to ${quoted(values)}`,
  }
}

/** A profile must be set; the pod's holds for containers without one. */
export function seccompRestricted({ spec }: Judged): Violation | undefined {
  const explicit = explicitSeccomp(spec)
  if (explicit || spec.securityContext?.seccompProfile) return explicit
  const names = namesOf(spec, ({ securityContext }) => !securityContext?.seccompProfile)
  if (names.length === 0) return undefined
  const must = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
  return { reason: 'seccompProfile', detail: `pod or ${named('container', names)} ${must}` }
}
