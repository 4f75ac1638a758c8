/** Source: k8s.io/kubernetes/plugin/pkg/admission/priority. PriorityClasses of one's own come with their kind. */
import { own } from '../api/own.ts'
import { forbidden } from '../api/status.ts'
import type { Pod } from '../api/types.ts'
import type { AdmissionPlugin } from './admission.ts'

const classes: Readonly<Record<string, number>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
}

/** Gives every new pod the number of its priority class; a pod may not choose the number itself. */
export const priority: AdmissionPlugin = {
  name: 'Priority',
  mutate({ kind, verb, name, object, subresource }) {
    if (kind.resource !== 'pods' || kind.group !== '' || verb !== 'create' || subresource) return
    const { spec } = object as Pod
    if (!spec) return
    const { priorityClassName } = spec
    const computed = priorityClassName ? own(classes, priorityClassName) : 0
    if (computed === undefined) {
      throw forbidden(kind, name, `no PriorityClass with name ${priorityClassName} was found`)
    }
    if (spec.priority !== undefined && spec.priority !== computed) {
      const reason = `the integer value of priority (${spec.priority}) must not be provided in pod spec; priority admission controller computed ${computed} from the given PriorityClass name`
      throw forbidden(kind, name, reason)
    }
    spec.priority = computed
    spec.preemptionPolicy ??= 'PreemptLowerPriority'
  },
}
