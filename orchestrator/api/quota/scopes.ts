/** Which pods a quota is about. Source: `podMatchesScopeFunc` in k8s.io/kubernetes/pkg/quota/v1/evaluator/core/pods.go. */
import { qosClassOf } from '../quality-of-service.ts'
import type { ResourceName } from '../status.ts'
import type { KubeObject, Pod, ResourceQuota } from '../types.ts'

interface Scope {
  readonly scopeName: string
  readonly operator: string
  readonly values?: readonly string[]
}

/** True if the quota counts this object. Scopes speak of pods: a quota that has some counts nothing else. */
export function isInScope({ spec }: ResourceQuota, resource: ResourceName, object: KubeObject): boolean {
  const plain = (spec?.scopes ?? []).map((scopeName): Scope => ({ scopeName, operator: 'Exists' }))
  const scopes: readonly Scope[] = [...plain, ...(spec?.scopeSelector?.matchExpressions ?? [])]
  if (scopes.length === 0) return true
  return resource.group === '' && resource.resource === 'pods' && scopes.every((scope) => isIn(object as Pod, scope))
}

function isIn(pod: Pod, { scopeName, operator, values = [] }: Scope): boolean {
  const { activeDeadlineSeconds, priorityClassName = '' } = pod.spec ?? {}
  switch (scopeName) {
    case 'Terminating':
      return activeDeadlineSeconds !== undefined
    case 'NotTerminating':
      return activeDeadlineSeconds === undefined
    case 'BestEffort':
      return qosClassOf(pod) === 'BestEffort'
    case 'NotBestEffort':
      return qosClassOf(pod) !== 'BestEffort'
    case 'CrossNamespacePodAffinity':
      return looksIntoOtherNamespaces(pod)
    case 'PriorityClass':
      if (operator === 'Exists') return priorityClassName !== ''
      if (operator === 'DoesNotExist') return priorityClassName === ''
      if (operator === 'In') return values.includes(priorityClassName)
      return !values.includes(priorityClassName)
    default:
      return false
  }
}

function looksIntoOtherNamespaces({ spec }: Pod): boolean {
  const { podAffinity, podAntiAffinity } = spec?.affinity ?? {}
  const terms = [podAffinity, podAntiAffinity].flatMap((affinity) => [
    ...(affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []),
    ...(affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((term) => term.podAffinityTerm),
  ])
  return terms.some(
    ({ namespaces = [], namespaceSelector }) => namespaces.length > 0 || namespaceSelector !== undefined,
  )
}
