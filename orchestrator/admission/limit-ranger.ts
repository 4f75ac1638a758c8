/** Source: k8s.io/kubernetes/plugin/pkg/admission/limitranger/admission.go. */
import { limitRangeKind } from '../api/kinds/limits.ts'
import { podLimits, podRequests } from '../api/quota/pod-amounts.ts'
import { forbidden } from '../api/status.ts'
import type { Container, LimitRange, PersistentVolumeClaim, Pod } from '../api/types.ts'
import { type AdmissionPlugin, type AdmissionRequest, isNewPod } from './admission.ts'
import { type Amounts, type LimitItem, violationsOf } from './limit-range-rules.ts'
import type { StoredObjects } from './stored-objects.ts'

/** Gives containers the defaults of the namespace's LimitRanges, and refuses pods and claims outside of their bounds. */
export function limitRanger(objects: StoredObjects): AdmissionPlugin {
  const rangesFor = ({ namespace }: AdmissionRequest) =>
    namespace === undefined ? [] : objects.list(limitRangeKind, namespace)
  return {
    name: 'LimitRanger',
    mutate(request) {
      if (isNewPod(request)) for (const range of rangesFor(request)) setDefaults(request.object as Pod, range)
    },
    validate(request) {
      const check = checkFor(request)
      if (!check) return
      const problems = rangesFor(request).flatMap(({ spec }) => (spec?.limits ?? []).flatMap(check))
      if (problems.length === 0) return
      const reason = problems.length === 1 ? problems[0] : `[${problems.join(', ')}]`
      throw forbidden(request.kind, request.name, reason as string)
    },
  }
}

function checkFor(request: AdmissionRequest): ((limit: LimitItem) => string[]) | undefined {
  const { kind, verb, subresource, object } = request
  if (kind.group !== '' || verb === 'delete') return undefined
  if (kind.resource === 'pods' && (isNewPod(request) || subresource === 'resize')) {
    return (limit) => podViolations(object as Pod, limit)
  }
  if (kind.resource !== 'persistentvolumeclaims' || subresource) return undefined
  const { requests } = (object as PersistentVolumeClaim).spec?.resources ?? {}
  return (limit) =>
    limit.type === 'PersistentVolumeClaim' ? violationsOf(limit, { requests: requests ?? {}, limits: {} }) : []
}

function podViolations(pod: Pod, limit: LimitItem): string[] {
  if (limit.type === 'Pod') return violationsOf(limit, { requests: podRequests(pod), limits: podLimits(pod) })
  if (limit.type !== 'Container') return []
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])]
  return containers.flatMap(({ resources = {} }) =>
    violationsOf(limit, { requests: resources.requests ?? {}, limits: resources.limits ?? {} }),
  )
}

const annotation = 'kubernetes.io/limit-ranger'

function setDefaults(pod: Pod, { spec }: LimitRange): void {
  const items = (spec?.limits ?? []).filter(({ type }) => type === 'Container')
  const requests: Amounts = Object.assign({}, ...items.map((item) => item.defaultRequest))
  const limits: Amounts = Object.assign({}, ...items.map((item) => item.default))
  const told = [
    ...(pod.spec?.containers ?? []).flatMap((each) => fill(each, { requests, limits, what: 'container' })),
    ...(pod.spec?.initContainers ?? []).flatMap((each) => fill(each, { requests, limits, what: 'init container' })),
  ]
  if (told.length === 0) return
  const text = `LimitRanger plugin set: ${told.join('; ')}`
  pod.metadata = { ...pod.metadata, annotations: { ...pod.metadata?.annotations, [annotation]: text } }
}

/** Fills in what the container leaves out; tells what it did. */
function fill(
  container: Container,
  { requests, limits, what }: { requests: Amounts; limits: Amounts; what: string },
): string[] {
  return (
    [
      ['request', 'requests', requests],
      ['limit', 'limits', limits],
    ] as const
  ).flatMap(([word, field, defaults]) => {
    const given = container.resources?.[field] ?? {}
    const missing = Object.keys(defaults).filter((name) => !Object.hasOwn(given, name))
    if (missing.length === 0) return []
    container.resources = { ...container.resources, [field]: { ...defaults, ...given } }
    return [`${missing.sort().join(', ')} ${word} for ${what} ${container.name}`]
  })
}
