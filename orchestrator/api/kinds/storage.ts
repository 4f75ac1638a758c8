import type {
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
} from '../types.ts'
import { inGroup, isOtherContent, specAndStatus } from './define.ts'
import { statusSubresource } from './kind.ts'

const storage = inGroup('storage.k8s.io', 'v1', 'io.k8s.api.storage.v1.')

export const storageClassKind = storage<StorageClass>({
  kind: 'StorageClass',
  resource: 'storageclasses',
  shortNames: ['sc'],
  namespaced: false,
})

export const volumeAttachmentKind = storage<VolumeAttachment>({
  kind: 'VolumeAttachment',
  resource: 'volumeattachments',
  namespaced: false,
  subresources: [statusSubresource],
  strategy: { ...specAndStatus<VolumeAttachment>(() => ({ attached: false })) },
})

export const csiDriverKind = storage<CSIDriver>({
  kind: 'CSIDriver',
  resource: 'csidrivers',
  namespaced: false,
  strategy: { isNewGeneration: isOtherContent },
})

export const csiNodeKind = storage<CSINode>({ kind: 'CSINode', resource: 'csinodes', namespaced: false })

export const csiStorageCapacityKind = storage<CSIStorageCapacity>({
  kind: 'CSIStorageCapacity',
  resource: 'csistoragecapacities',
  namespaced: true,
})

export const volumeAttributesClassKind = storage<VolumeAttributesClass>({
  kind: 'VolumeAttributesClass',
  resource: 'volumeattributesclasses',
  shortNames: ['vac'],
  namespaced: false,
})
