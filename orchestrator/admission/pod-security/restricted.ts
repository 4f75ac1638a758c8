/** The restricted standard: hardening, on top of the baseline. Source: kubernetes.io/docs/concepts/security/pod-security-standards. */
import { procMount } from './baseline.ts'
import {
  type Control,
  containersOf,
  isInUserNamespace,
  type Judged,
  named,
  namesOf,
  plural,
  quoted,
  setters,
  sorted,
  type Violation,
} from './control.ts'
import { seccompRestricted } from './profiles.ts'

/** By id: that is the order in which they are told. */
export const restricted: readonly Control[] = [
  { id: 'allowPrivilegeEscalation', since: 8, check: (judged) => unlessWindows(judged, escalation) },
  {
    id: 'capabilities_restricted',
    since: 22,
    overrides: 'capabilities_baseline',
    check: (judged) => unlessWindows(judged, capabilities),
  },
  { id: 'procMount_restricted', since: 35, overrides: 'procMount', check: procMount },
  { id: 'restrictedVolumes', since: 0, overrides: 'hostPathVolumes', check: volumes },
  { id: 'runAsNonRoot', since: 0, check: (judged) => (isInUserNamespace(judged) ? undefined : nonRoot(judged)) },
  { id: 'runAsUser', since: 23, check: (judged) => (isInUserNamespace(judged) ? undefined : rootUser(judged)) },
  {
    id: 'seccompProfile_restricted',
    since: 19,
    overrides: 'seccompProfile_baseline',
    check: (judged) => unlessWindows(judged, seccompRestricted),
  },
]

/** What only Linux has is not asked of Windows, from 1.25 on. */
function unlessWindows(judged: Judged, check: Control['check']): Violation | undefined {
  return judged.minor >= 25 && judged.spec.os?.name === 'windows' ? undefined : check(judged)
}

function escalation({ spec }: Judged): Violation | undefined {
  const names = namesOf(spec, ({ securityContext }) => securityContext?.allowPrivilegeEscalation !== false)
  if (names.length === 0) return undefined
  const detail = `${named('container', names)} must set securityContext.allowPrivilegeEscalation=false`
  return { reason: 'allowPrivilegeEscalation != false', detail }
}

function capabilities({ spec }: Judged): Violation | undefined {
  const keeping = namesOf(spec, ({ securityContext }) => !securityContext?.capabilities?.drop?.includes('ALL'))
  const forbidden = (added: readonly string[] = []) => added.filter((each) => each !== 'NET_BIND_SERVICE')
  const adding = namesOf(spec, ({ securityContext }) => forbidden(securityContext?.capabilities?.add).length > 0)
  const added = containersOf(spec).flatMap(({ securityContext }) => forbidden(securityContext?.capabilities?.add))
  const details = [
    ...(keeping.length > 0
      ? [`${named('container', keeping)} must set securityContext.capabilities.drop=["ALL"]`]
      : []),
    ...(adding.length > 0
      ? [`${named('container', adding)} must not include ${quoted(sorted(added))} in securityContext.capabilities.add`]
      : []),
  ]
  return details.length > 0 ? { reason: 'unrestricted capabilities', detail: details.join('; ') } : undefined
}

const allowedVolumes = [
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'image',
  'persistentVolumeClaim',
  'projected',
  'secret',
]

function volumes({ spec }: Judged): Violation | undefined {
  const bad = (spec.volumes ?? []).flatMap(({ name, ...source }) => {
    const [type = 'unknown'] = Object.keys(source)
    return allowedVolumes.includes(type) ? [] : [{ name, type }]
  })
  if (bad.length === 0) return undefined
  const types = sorted(bad.map(({ type }) => type))
  const who = named(
    'volume',
    bad.map(({ name }) => name),
  )
  const what = `${plural('restricted volume type', types.length)} ${quoted(types)}`
  return { reason: 'restricted volume types', detail: `${who} ${bad.length === 1 ? 'uses' : 'use'} ${what}` }
}

function nonRoot({ spec }: Judged): Violation | undefined {
  const reason = 'runAsNonRoot != true'
  const ofPod = spec.securityContext?.runAsNonRoot
  const explicit = setters(
    ofPod === false,
    namesOf(spec, ({ securityContext }) => securityContext?.runAsNonRoot === false),
  )
  if (explicit) return { reason, detail: `${explicit} must not set securityContext.runAsNonRoot=false` }
  const silent = namesOf(spec, ({ securityContext }) => securityContext?.runAsNonRoot === undefined)
  if (ofPod || silent.length === 0) return undefined
  return { reason, detail: `pod or ${named('container', silent)} must set securityContext.runAsNonRoot=true` }
}

function rootUser({ spec }: Judged): Violation | undefined {
  const names = namesOf(spec, ({ securityContext }) => securityContext?.runAsUser === 0)
  const who = setters(spec.securityContext?.runAsUser === 0, names)
  return who ? { reason: 'runAsUser=0', detail: `${who} must not set runAsUser=0` } : undefined
}
