/** The node's own last word on a pod (upstream: lifecycle predicates): what it cannot do is refused, never ignored. */
import type { Container, Node, Pod } from '../orchestrator/api/types.ts'
import { ownContainers } from './pod-containers.ts'
import type { Check, Refusal } from './refusal.ts'
import { hasFreePorts, hasRoom } from './room.ts'
import { allowsSysctls } from './sysctls.ts'
import { kindOf } from './volumes/kinds.ts'

/** What a node knows of itself when it is asked to take a pod. */
export interface AdmitHost {
  node: Node
  /** The pods that it runs already. */
  others: readonly Pod[]
  /** True when its kernel enforces or logs by SELinux labels. */
  selinux: boolean
}

/** The first reason why this node must not run the pod. Pure. */
export function admit(pod: Pod, { node, others, selinux }: AdmitHost): Refusal | undefined {
  for (const check of checks) {
    const refusal = check(pod, node, others)
    if (refusal) return refusal
  }
  return selinux ? refuseLabels(pod) : undefined
}

/** Nothing here labels processes and files. Without SELinux a label says nothing, and is passed over as upstream does. */
function refuseLabels(pod: Pod): Refusal | undefined {
  if (pod.spec?.securityContext?.seLinuxOptions) return unsupported('spec.securityContext.seLinuxOptions')
  const labelled = ownContainers(pod).find((each) => each.securityContext?.seLinuxOptions)
  return labelled && unsupported(`spec.containers[${labelled.name}].securityContext.seLinuxOptions`)
}

const matchesNodeSelector: Check = (pod, node) => {
  const labels = (node.metadata?.labels ?? {}) as Record<string, string>
  const wanted = Object.entries((pod.spec?.nodeSelector ?? {}) as Record<string, string>)
  if (wanted.every(([key, value]) => labels[key] === value)) return undefined
  return {
    reason: 'NodeAffinity',
    message: "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
  }
}

const knowsOs: Check = (pod) => {
  const os = pod.spec?.os?.name
  if (os === undefined || os === 'linux') return undefined
  return { reason: 'PodOSNotSupported', message: `Failed to admit pod as the OS field doesn't match node OS` }
}

const knowsVolumes: Check = (pod) => {
  const unknown = (pod.spec?.volumes ?? []).find((volume) => kindOf(volume) === undefined)
  if (!unknown) return undefined
  const kind = Object.keys(unknown).filter((key) => key !== 'name')
  return unsupported(`spec.volumes[${unknown.name}]: the type ${kind.join(', ')}`)
}

const knowsFields: Check = (pod) => {
  const spec = pod.spec
  const isolated = spec?.hostUsers === false ? 'spec.hostUsers: false (user namespaces)' : undefined
  const claims = (spec?.resourceClaims ?? []).length > 0 ? 'spec.resourceClaims' : undefined
  const pooled = spec?.resources ? 'spec.resources (of the pod as a whole)' : undefined
  const renamed = spec?.hostnameOverride ? 'spec.hostnameOverride' : undefined
  const strict = spec?.securityContext?.supplementalGroupsPolicy === 'Strict'
  const groups = strict ? 'spec.securityContext.supplementalGroupsPolicy: Strict' : undefined
  const found = isolated ?? claims ?? pooled ?? renamed ?? groups
  return found === undefined ? undefined : unsupported(found)
}

const knowsContainerFields: Check = (pod) => {
  for (const container of ownContainers(pod)) {
    const field = containerFields.find((each) => each.used(container))
    if (field) return unsupported(`spec.containers[${container.name}].${field.name}`)
  }
  return undefined
}

const containerFields: readonly { name: string; used: (container: Container) => boolean }[] = [
  { name: 'volumeDevices', used: (each) => (each.volumeDevices ?? []).length > 0 },
  {
    name: 'securityContext.appArmorProfile',
    used: (each) => each.securityContext?.appArmorProfile?.type === 'Localhost',
  },
  {
    name: 'restartPolicyRules: an action other than Restart',
    used: (each) => (each.restartPolicyRules ?? []).some((rule) => rule.action !== 'Restart'),
  },
  { name: 'lifecycle.stopSignal', used: (each) => each.lifecycle?.stopSignal !== undefined },
  { name: 'securityContext.windowsOptions', used: (each) => each.securityContext?.windowsOptions !== undefined },
]

function unsupported(what: string): Refusal {
  return { reason: 'UnsupportedByNode', message: `Pod was rejected: ${what} is not supported by this node` }
}

const checks: readonly Check[] = [
  matchesNodeSelector,
  knowsOs,
  knowsVolumes,
  knowsFields,
  knowsContainerFields,
  allowsSysctls,
  hasFreePorts,
  hasRoom,
]
