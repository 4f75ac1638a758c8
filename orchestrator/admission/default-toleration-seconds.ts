/** Source: k8s.io/kubernetes/plugin/pkg/admission/defaulttolerationseconds. */
import type { Pod } from '../api/types.ts'
import type { AdmissionPlugin } from './admission.ts'

/** Of a node that is not ready, and of one that cannot be reached. */
const taints = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']

/** The same for all pods, and there once. */
const usual = taints.map((key) =>
  Object.freeze({ key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }),
)

/** A pod stays five minutes on a node that has failed, unless it says itself for how long. */
export const defaultTolerationSeconds: AdmissionPlugin = {
  name: 'DefaultTolerationSeconds',
  mutate({ kind, verb, subresource, object }) {
    if (kind.resource !== 'pods' || kind.group !== '' || verb === 'delete' || subresource) return
    const { spec } = object as Pod
    if (!spec) return
    const tolerations = spec.tolerations ?? []
    const missing = usual.filter(
      (taint) =>
        !tolerations.some(({ key, effect }) => (!key || key === taint.key) && (!effect || effect === 'NoExecute')),
    )
    if (missing.length > 0) spec.tolerations = [...tolerations, ...missing]
  },
}
