/** Source: k8s.io/kubernetes/plugin/pkg/admission/priority. */
import { priorityClassKind } from '../api/kinds/classes.ts'
import { forbidden } from '../api/status.ts'
import type { Pod, PriorityClass } from '../api/types.ts'
import { type AdmissionPlugin, type AdmissionRequest, isNewPod } from './admission.ts'
import type { StoredObjects } from './stored-objects.ts'

type Spec = NonNullable<Pod['spec']>

/**
 * Gives every new pod the number and the preemption policy of its class; a pod may not choose them itself, and keeps
 * them. One class at most is the default.
 */
export function priority(objects: StoredObjects): AdmissionPlugin {
  return {
    name: 'Priority',
    mutate(request) {
      const { spec } = (request.object ?? {}) as Pod
      if (!spec || request.kind.resource !== 'pods' || request.subresource) return
      if (isNewPod(request)) prioritize(spec, { request, objects })
      else keepPriority(spec, request.old as Pod | undefined)
    },
    validate(request) {
      const { kind, verb, object } = request
      if (kind.resource !== 'priorityclasses' || verb === 'delete') return
      refuseSecondDefault(object as PriorityClass, { request, objects })
    },
  }
}

/** Whoever puts a pod in its place need not know what it was given when it was made. */
function keepPriority(spec: Spec, old: Pod | undefined): void {
  const { priority, preemptionPolicy } = old?.spec ?? {}
  if (priority !== undefined) spec.priority ??= priority
  if (preemptionPolicy !== undefined) spec.preemptionPolicy ??= preemptionPolicy
}

interface Asked {
  readonly request: AdmissionRequest
  readonly objects: StoredObjects
}

function prioritize(spec: Spec, { request, objects }: Asked): void {
  const { kind, name } = request
  const { priorityClassName } = spec
  const found = priorityClassName ? objects.get(priorityClassKind, priorityClassName) : defaultClass(objects)
  if (priorityClassName && !found) {
    throw forbidden(kind, name, `no PriorityClass with name ${priorityClassName} was found`)
  }
  if (found?.metadata?.name) spec.priorityClassName = found.metadata.name
  const value = found?.value ?? 0
  const policy = found?.preemptionPolicy ?? 'PreemptLowerPriority'
  const computed = (answer: string | number) =>
    `must not be provided in pod spec; priority admission controller computed ${answer} from the given PriorityClass name`
  if (spec.priority !== undefined && spec.priority !== value) {
    throw forbidden(kind, name, `the integer value of priority (${spec.priority}) ${computed(value)}`)
  }
  if (spec.preemptionPolicy !== undefined && spec.preemptionPolicy !== policy) {
    const text = `the string value of PreemptionPolicy (${spec.preemptionPolicy}) ${computed(policy)}`
    throw forbidden(kind, name, text)
  }
  spec.priority = value
  spec.preemptionPolicy = policy
}

/** Two servers may each have let one pass: then it is the lowest. */
function defaultClass(objects: StoredObjects): PriorityClass | undefined {
  const defaults = objects.list(priorityClassKind).filter(({ globalDefault }) => globalDefault)
  return [...defaults].sort((left, right) => (left.value ?? 0) - (right.value ?? 0))[0]
}

function refuseSecondDefault({ globalDefault, metadata }: PriorityClass, { request, objects }: Asked): void {
  const before = defaultClass(objects)?.metadata?.name
  if (!globalDefault || before === undefined || before === metadata?.name) return
  const reason = `PriorityClass ${before} is already marked as default. Only one default can exist`
  throw forbidden(request.kind, request.name, reason)
}
