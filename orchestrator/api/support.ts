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

const gaps: readonly Gap[] = [
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
    kind: 'Service',
    field: 'spec.ports',
    covered: 'no',
    how: 'kept, and an address is given, but nothing forwards to it yet',
  },
  { kind: 'Service', field: 'spec.ipFamilies', covered: 'partly', how: 'IPv4; IPv6 is refused' },
  { kind: 'Service', field: 'spec.trafficDistribution', covered: 'no', how: 'kept but not acted on' },
  {
    kind: 'Node',
    field: 'spec.taints',
    covered: 'partly',
    how: 'new pods keep away; NoExecute does not end those that run already',
  },
  {
    kind: 'Node',
    field: 'spec.configSource',
    covered: 'no',
    how: 'kept but not acted on, as in Kubernetes since 1.24',
  },
]

const noPods = 'kept but not acted on: no controller makes its pods yet'

/** Kinds that are kept as Kubernetes keeps them, and that nobody works on yet. */
const unattended: Readonly<Record<string, string>> = {
  CertificateSigningRequest: 'kept, and can be approved; nobody signs it yet',
  CronJob: noPods,
  DaemonSet: noPods,
  Deployment: noPods,
  HorizontalPodAutoscaler: 'kept but not acted on: nobody scales by it yet',
  Ingress: 'kept but not acted on: nobody routes by it yet',
  IPAddress: 'kept but not acted on: addresses are given out without it',
  Job: noPods,
  NetworkPolicy: 'kept but not acted on: nothing is held back by it yet',
  PersistentVolume: 'kept but not acted on: no claim is bound to it yet',
  PersistentVolumeClaim: 'kept but not acted on: no volume is bound to it yet',
  PodDisruptionBudget: 'kept, and asked by evictions; nobody counts its pods yet, so none is allowed',
  ReplicaSet: noPods,
  ReplicationController: noPods,
  ServiceCIDR: 'kept but not acted on: addresses come from the range of the server',
  StatefulSet: noPods,
  VolumeAttachment: 'kept but not acted on: nothing is attached yet',
}

/** Everything that is not as in Kubernetes. */
export const allGaps: readonly Gap[] = [
  ...gaps,
  ...Object.entries(unattended).map(([kind, how]): Gap => ({ kind, field: 'spec', covered: 'no', how })),
]

interface Segment {
  readonly name: string
  /** Any of its items is meant. */
  readonly isList: boolean
}

function pathOf(field: string): readonly Segment[] {
  return field.split('.').map((each) => ({ name: each.replace('[]', ''), isList: each.endsWith('[]') }))
}

const warnedOf = Map.groupBy(
  allGaps.filter(({ covered }) => covered === 'no').map((gap) => ({ ...gap, path: pathOf(gap.field) })),
  ({ kind }) => kind,
)

/** A sentence for each field of `object` that has no effect here. */
export function warningsAbout(kind: Kind, object: KubeObject): string[] {
  const warnings: string[] = []
  for (const { path, field, how } of warnedOf.get(kind.kind) ?? []) {
    if (isSet(object, path, 0)) warnings.push(`${field}: not supported; ${how}`)
  }
  return warnings
}

/** True if `value` has something at `path` from its segment `at` on. */
function isSet(value: unknown, path: readonly Segment[], at: number): boolean {
  const segment = path[at]
  if (segment === undefined || value === undefined) return value !== undefined
  const inner = (value as Record<string, unknown>)[segment.name]
  if (!segment.isList) return isSet(inner, path, at + 1)
  return Array.isArray(inner) && inner.some((item) => isSet(item, path, at + 1))
}
