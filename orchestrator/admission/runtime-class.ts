/** Source: k8s.io/kubernetes/plugin/pkg/admission/runtimeclass, KEP-688 (overhead), KEP-585. */

import { isEqual } from '../api/equal.ts'
import { runtimeClassKind } from '../api/kinds/classes.ts'
import { own } from '../api/own.ts'
import { forbidden } from '../api/status.ts'
import type { Pod, RuntimeClass } from '../api/types.ts'
import { type AdmissionPlugin, type AdmissionRequest, isNewPod } from './admission.ts'
import type { StoredObjects } from './stored-objects.ts'

type Spec = NonNullable<Pod['spec']>

/** Gives a pod the overhead of its runtime and the nodes that have it. Refuses a class that is not there. */
export function runtimeClass(objects: StoredObjects): AdmissionPlugin {
  return {
    name: 'RuntimeClass',
    mutate(request) {
      const { spec } = (request.object ?? {}) as Pod
      if (!isNewPod(request) || !spec) return
      const { runtimeClassName } = spec
      const found = runtimeClassName ? objects.get(runtimeClassKind, runtimeClassName) : undefined
      if (runtimeClassName && !found) throw refused(request, `RuntimeClass "${runtimeClassName}" not found`)
      if (found) {
        setOverhead(spec, found, request)
        setPlacement(spec, found, request)
      } else if (spec.overhead && Object.keys(spec.overhead).length > 0) {
        throw refused(request, 'Pod Overhead set without corresponding RuntimeClass defined Overhead')
      }
    },
  }
}

const refused = ({ kind, name }: AdmissionRequest, reason: string) => forbidden(kind, name, `pod rejected: ${reason}`)

function setOverhead(spec: Spec, { overhead }: RuntimeClass, request: AdmissionRequest): void {
  const wanted = overhead?.podFixed
  const given = spec.overhead && Object.keys(spec.overhead).length > 0 ? spec.overhead : undefined
  if (given && !wanted) {
    throw refused(request, 'Pod Overhead set without corresponding RuntimeClass defined Overhead')
  }
  if (given && !isEqual(given, wanted)) {
    throw refused(request, "Pod's Overhead doesn't match RuntimeClass's defined Overhead")
  }
  if (wanted) spec.overhead = { ...wanted }
}

function setPlacement(spec: Spec, { scheduling }: RuntimeClass, { kind, name }: AdmissionRequest): void {
  if (!scheduling) return
  for (const [key, value] of Object.entries(scheduling.nodeSelector ?? {})) {
    const given = own(spec.nodeSelector, key)
    if (given === undefined || given === value) continue
    const reason = `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}, pod.spec.nodeSelector[${key}] = ${given}`
    throw forbidden(kind, name, `pod rejected: ${reason}`)
  }
  if (scheduling.nodeSelector) spec.nodeSelector = { ...spec.nodeSelector, ...scheduling.nodeSelector }
  const before = spec.tolerations ?? []
  const added = (scheduling.tolerations ?? []).filter((one) => !before.some((other) => isEqual(one, other)))
  if (added.length > 0) spec.tolerations = [...before, ...added]
}
