/** `POST pods/x/binding`: the scheduler's decision. Source: k8s.io/kubernetes/pkg/registry/core/pod/storage/storage.go. */
import { conflict, invalid } from '../../api/status.ts'
import type { Binding, Pod } from '../../api/types.ts'
import { type Problem, required, unsupported } from '../../api/validate/problem.ts'
import { copyOf, type ObjectPlace } from '../objects.ts'
import { type Registry, timestamp } from '../registry.ts'
import { getNewest, replaceStored } from '../stored.ts'
import { untilNoConflict, type WriteOptions } from './write.ts'

/** Gives the pod its node. Throws CONFLICT when it has one or is being deleted, INVALID, NOT_FOUND. */
export function bindPod(
  registry: Registry,
  place: ObjectPlace,
  request: WriteOptions & { binding: Binding },
): Promise<void> {
  const { binding } = request
  refuseInvalid(binding)
  return untilNoConflict(false, async () => {
    const old = (await getNewest(registry, place)) as Pod
    refuseUnlessFree(place.name, old, binding)
    const pod = copyOf(old)
    if (pod.spec) pod.spec.nodeName = binding.target.name as string
    const annotations = { ...pod.metadata?.annotations, ...binding.metadata?.annotations }
    pod.metadata = { ...pod.metadata, ...(Object.keys(annotations).length > 0 ? { annotations } : {}) }
    setScheduled(pod, timestamp(registry.clock))
    if (!request.dryRun) await replaceStored(registry, place, { object: pod, old })
  })
}

function refuseInvalid({ target, metadata }: Binding): void {
  const problems: Problem[] = []
  if (target?.kind && target.kind !== 'Node')
    problems.push(unsupported('target.kind', target.kind, ['Node', '<empty>']))
  if (!target?.name) problems.push(required('target.name'))
  if (problems.length > 0) throw invalid({ group: '', kind: 'Binding' }, metadata?.name ?? '', problems)
}

function refuseUnlessFree(name: string, pod: Pod, binding: Binding): void {
  const bindings = { group: '', resource: 'pods/binding' }
  const { uid, resourceVersion } = binding.metadata ?? {}
  if (uid && uid !== pod.metadata?.uid) {
    throw conflict(
      bindings,
      name,
      `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${pod.metadata?.uid}`,
    )
  }
  if (resourceVersion && resourceVersion !== pod.metadata?.resourceVersion) throw conflict(bindings, name)
  if (pod.metadata?.deletionTimestamp) {
    throw conflict(bindings, name, `pod ${name} is being deleted, cannot be assigned to a host`)
  }
  if (pod.spec?.nodeName) {
    throw conflict(bindings, name, `pod ${name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`)
  }
  const gates = pod.spec?.schedulingGates ?? []
  if (gates.length > 0) throw conflict(bindings, name, `pod ${name} has non-empty .spec.schedulingGates`)
}

function setScheduled(pod: Pod, now: string): void {
  const others = (pod.status?.conditions ?? []).filter(({ type }) => type !== 'PodScheduled')
  const condition = { type: 'PodScheduled', status: 'True', lastProbeTime: null, lastTransitionTime: now }
  const { lastProbeTime: _, ...scheduled } = condition
  pod.status = { ...pod.status, conditions: [...others, scheduled] }
}
