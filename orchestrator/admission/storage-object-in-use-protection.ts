/** Source: k8s.io/kubernetes/plugin/pkg/admission/storage/storageobjectinuseprotection. */
import type { AdmissionPlugin } from './admission.ts'

const finalizers: Readonly<Record<string, string>> = {
  persistentvolumeclaims: 'kubernetes.io/pvc-protection',
  persistentvolumes: 'kubernetes.io/pv-protection',
}

/** Claims and volumes wait for those who use them. Two controllers take the finalizers away. */
export const storageObjectInUseProtection: AdmissionPlugin = {
  name: 'StorageObjectInUseProtection',
  mutate({ kind, verb, subresource, object }) {
    const finalizer = kind.group === '' ? finalizers[kind.resource] : undefined
    if (!finalizer || verb !== 'create' || subresource || !object) return
    const before = object.metadata?.finalizers ?? []
    if (!before.includes(finalizer)) object.metadata = { ...object.metadata, finalizers: [...before, finalizer] }
  },
}
