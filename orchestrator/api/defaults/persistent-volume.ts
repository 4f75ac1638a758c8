/** Source: k8s.io/kubernetes/pkg/apis/core/v1/defaults.go. */
import type { PersistentVolume, PersistentVolumeClaim } from '../types.ts'

/** Sets what a PersistentVolume leaves open. */
export function setPersistentVolumeDefaults({ spec }: PersistentVolume): void {
  if (!spec) return
  spec.persistentVolumeReclaimPolicy ??= 'Retain'
  spec.volumeMode ??= 'Filesystem'
  if (spec.hostPath) spec.hostPath.type ??= ''
}

/** Sets what a claim leaves open. */
export function setClaimDefaults({ spec }: PersistentVolumeClaim): void {
  if (!spec) return
  spec.volumeMode ??= 'Filesystem'
  // The older and the newer name of a source stand for each other, as long as it is in the claim's own namespace.
  if (spec.dataSource && !spec.dataSourceRef) spec.dataSourceRef = { ...spec.dataSource }
  else if (spec.dataSourceRef && !spec.dataSource && !spec.dataSourceRef.namespace) {
    const { namespace: _, ...source } = spec.dataSourceRef
    spec.dataSource = source
  }
}
