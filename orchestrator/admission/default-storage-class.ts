/** Source: k8s.io/kubernetes/plugin/pkg/admission/storage/storageclass/setdefault. */

import { storageClassKind } from '../api/kinds/storage.ts'
import { own } from '../api/own.ts'
import type { PersistentVolumeClaim, StorageClass } from '../api/types.ts'
import type { AdmissionPlugin } from './admission.ts'
import type { StoredObjects } from './stored-objects.ts'

const isDefaultMarks = [
  'storageclass.kubernetes.io/is-default-class',
  'storageclass.beta.kubernetes.io/is-default-class',
]
const classOfOldClients = 'volume.beta.kubernetes.io/storage-class'

/** A claim that names no class gets the default one. An empty name means: none. */
export function defaultStorageClass(objects: StoredObjects): AdmissionPlugin {
  return {
    name: 'DefaultStorageClass',
    mutate({ kind, verb, subresource, object }) {
      if (kind.resource !== 'persistentvolumeclaims' || kind.group !== '' || verb !== 'create' || subresource) return
      const { spec, metadata } = object as PersistentVolumeClaim
      if (!spec || spec.storageClassName !== undefined) return
      if (own(metadata?.annotations, classOfOldClients) !== undefined) return
      const name = newestDefault(objects)?.metadata?.name
      if (name) spec.storageClassName = name
    },
  }
}

/** Of several defaults the newest is meant: that is how one default is replaced by another. */
function newestDefault(objects: StoredObjects): StorageClass | undefined {
  const defaults = objects
    .list(storageClassKind)
    .filter(({ metadata }) => isDefaultMarks.some((mark) => own(metadata?.annotations, mark) === 'true'))
  const age = ({ metadata }: StorageClass) => metadata?.creationTimestamp ?? ''
  const nameOf = ({ metadata }: StorageClass) => metadata?.name ?? ''
  return [...defaults].sort((left, right) => {
    if (age(left) !== age(right)) return age(left) > age(right) ? -1 : 1
    return nameOf(left) < nameOf(right) ? -1 : 1
  })[0]
}
