/**
 * What is not, or only partly, covered: as data, so that clients are warned and the documentation cannot lag behind.
 * What is not listed is covered as in Kubernetes.
 */
import type { Kind } from './kinds/kind.ts'
import type { KubeObject } from './types.ts'

export interface Gap {
  /** `*` for every kind. */
  readonly kind: string
  /** `spec.containers[].resizePolicy`; `[]` stands for every item. */
  readonly field: string
  readonly covered: 'partly' | 'no'
  /** What happens instead. */
  readonly how: string
}

export const gaps: readonly Gap[] = [
  { kind: '*', field: 'metadata.managedFields', covered: 'no', how: 'dropped: there is no server-side apply yet' },
  {
    kind: 'Pod',
    field: 'spec.resourceClaims',
    covered: 'no',
    how: 'kept but not acted on: no kind of resource.k8s.io is served',
  },
  {
    kind: 'Pod',
    field: 'spec.containers[].resources.limits.ephemeral-storage',
    covered: 'no',
    how: 'kept but not acted on: only the sizeLimit of an emptyDir is',
  },
  {
    kind: 'Pod',
    field: 'spec.priorityClassName',
    covered: 'partly',
    how: 'the two system classes; others are refused',
  },
  { kind: 'Pod', field: 'spec.ephemeralContainers', covered: 'no', how: 'refused: the subresource is not served' },
  {
    kind: 'Pod',
    field: 'spec.containers[].resizePolicy',
    covered: 'no',
    how: 'kept but not acted on: a pod cannot be resized in place',
  },
  {
    kind: 'Pod',
    field: 'spec.affinity.podAffinity.preferredDuringSchedulingIgnoredDuringExecution',
    covered: 'no',
    how: 'kept but not acted on; what is required of other pods keeps a pod Pending, with the reason',
  },
  {
    kind: 'Pod',
    field: 'spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution',
    covered: 'no',
    how: 'kept but not acted on; what is required of other pods keeps a pod Pending, with the reason',
  },
  {
    kind: 'Pod',
    field: 'spec.affinity.nodeAffinity.preferredDuringSchedulingIgnoredDuringExecution',
    covered: 'no',
    how: 'kept but not acted on',
  },
  {
    kind: 'Pod',
    field: 'spec.topologySpreadConstraints',
    covered: 'partly',
    how: 'those that must hold keep a pod Pending, with the reason; the others are kept but not acted on',
  },
  {
    kind: 'Pod',
    field: 'spec.preemptionPolicy',
    covered: 'partly',
    how: 'nobody is preempted yet: important pods are only scheduled first',
  },
  {
    kind: 'Pod',
    field: 'spec.serviceAccountName',
    covered: 'partly',
    how: 'kept and shown; no token is mounted yet',
  },
  {
    kind: 'Service',
    field: 'spec.ports',
    covered: 'no',
    how: 'kept, and an address is given, but nothing forwards to it yet',
  },
  { kind: 'Service', field: 'spec.ipFamilies', covered: 'partly', how: 'IPv4; IPv6 is refused' },
  { kind: 'Service', field: 'spec.trafficDistribution', covered: 'no', how: 'kept but not acted on' },
  { kind: 'ServiceAccount', field: 'secrets', covered: 'no', how: 'kept but no token is made: tokens come with RBAC' },
  {
    kind: 'Node',
    field: 'spec.configSource',
    covered: 'no',
    how: 'kept but not acted on, as in Kubernetes since 1.24',
  },
]

/** A sentence for each field of `object` that has no effect here. */
export function warningsAbout(kind: Kind, object: KubeObject): string[] {
  return gaps
    .filter((gap) => gap.covered === 'no' && gap.kind === kind.kind && isSet(object, gap.field.split('.')))
    .map(({ field, how }) => `${field}: not supported; ${how}`)
}

function isSet(value: unknown, [segment, ...rest]: readonly string[]): boolean {
  if (segment === undefined) return value !== undefined
  const isList = segment.endsWith('[]')
  const inner = (value as Record<string, unknown> | undefined)?.[isList ? segment.slice(0, -2) : segment]
  if (!isList) return isSet(inner, rest)
  return Array.isArray(inner) && inner.some((item) => isSet(item, rest))
}
