import {
  csiDriverPrinter,
  csiNodePrinter,
  csiStorageCapacityPrinter,
  storageClassPrinter,
  volumeAttachmentPrinter,
  volumeAttributesClassPrinter,
} from '../print/storage.ts'
import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from '../types.ts'
import {
  validateCsiDriver,
  validateCsiNode,
  validateStorageCapacity,
  validateStorageCapacityUpdate,
  validateStorageClass,
  validateStorageClassUpdate,
  validateVolumeAttachment,
  validateVolumeAttachmentUpdate,
  validateVolumeAttributesClass,
  validateVolumeAttributesClassUpdate,
} from '../validate/storage.ts'
import { inGroup, isOtherContent, specAndStatus, withoutGeneration } from './define.ts'
import { statusSubresource } from './kind.ts'

const storage = inGroup('storage.k8s.io', 'v1', 'io.k8s.api.storage.v1.')

export const storageClassKind = storage<StorageClass>({
  kind: 'StorageClass',
  resource: 'storageclasses',
  printer: storageClassPrinter,
  shortNames: ['sc'],
  namespaced: false,
  strategy: {
    setDefaults(storageClass) {
      storageClass.reclaimPolicy ??= 'Delete'
      storageClass.volumeBindingMode ??= 'Immediate'
    },
    validate: validateStorageClass,
    validateUpdate: validateStorageClassUpdate,
  },
})

export const volumeAttachmentKind = storage<VolumeAttachment>({
  kind: 'VolumeAttachment',
  resource: 'volumeattachments',
  printer: volumeAttachmentPrinter,
  namespaced: false,
  subresources: [statusSubresource],
  strategy: {
    ...withoutGeneration(specAndStatus<VolumeAttachment>(() => ({ attached: false }))),
    validate: validateVolumeAttachment,
    validateUpdate: validateVolumeAttachmentUpdate,
  },
})

/** Source: SetDefaults_CSIDriver in k8s.io/kubernetes/pkg/apis/storage/v1/defaults.go. */
function setCsiDriverDefaults({ spec }: CSIDriver): void {
  spec.attachRequired ??= true
  spec.podInfoOnMount ??= false
  spec.storageCapacity ??= false
  spec.fsGroupPolicy ??= 'ReadWriteOnceWithFSType'
  if (!spec.volumeLifecycleModes?.length) spec.volumeLifecycleModes = ['Persistent']
  spec.requiresRepublish ??= false
  spec.seLinuxMount ??= false
}

export const csiDriverKind = storage<CSIDriver>({
  kind: 'CSIDriver',
  resource: 'csidrivers',
  printer: csiDriverPrinter,
  namespaced: false,
  strategy: { setDefaults: setCsiDriverDefaults, validate: validateCsiDriver, isNewGeneration: isOtherContent },
})

export const csiNodeKind = storage<CSINode>({
  kind: 'CSINode',
  resource: 'csinodes',
  printer: csiNodePrinter,
  namespaced: false,
  strategy: { validate: validateCsiNode },
})

export const csiStorageCapacityKind = storage<CSIStorageCapacity>({
  kind: 'CSIStorageCapacity',
  resource: 'csistoragecapacities',
  printer: csiStorageCapacityPrinter,
  namespaced: true,
  strategy: { validate: validateStorageCapacity, validateUpdate: validateStorageCapacityUpdate },
})

export const volumeAttributesClassKind = storage<VolumeAttributesClass>({
  kind: 'VolumeAttributesClass',
  resource: 'volumeattributesclasses',
  printer: volumeAttributesClassPrinter,
  shortNames: ['vac'],
  namespaced: false,
  strategy: { validate: validateVolumeAttributesClass, validateUpdate: validateVolumeAttributesClassUpdate },
})
