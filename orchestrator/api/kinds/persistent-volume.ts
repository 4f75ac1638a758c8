import { setClaimDefaults, setPersistentVolumeDefaults } from '../defaults/persistent-volume.ts'
import { persistentVolumeClaimPrinter, persistentVolumePrinter } from '../print/storage.ts'
import type { PersistentVolume, PersistentVolumeClaim } from '../types.ts'
import {
  validateClaimUpdate,
  validatePersistentVolume,
  validatePersistentVolumeClaim,
  validatePersistentVolumeUpdate,
} from '../validate/persistent-volume.ts'
import { inGroup, specAndStatus, withoutGeneration } from './define.ts'
import { statusSubresource } from './kind.ts'

const core = inGroup('', 'v1', 'io.k8s.api.core.v1.')

export const persistentVolumeKind = core<PersistentVolume>({
  kind: 'PersistentVolume',
  resource: 'persistentvolumes',
  printer: persistentVolumePrinter,
  shortNames: ['pv'],
  namespaced: false,
  subresources: [statusSubresource],
  strategy: {
    ...withoutGeneration(specAndStatus<PersistentVolume>(() => ({ phase: 'Pending' }))),
    setDefaults: setPersistentVolumeDefaults,
    validate: validatePersistentVolume,
    validateUpdate: validatePersistentVolumeUpdate,
  },
})

export const persistentVolumeClaimKind = core<PersistentVolumeClaim>({
  kind: 'PersistentVolumeClaim',
  resource: 'persistentvolumeclaims',
  printer: persistentVolumeClaimPrinter,
  shortNames: ['pvc'],
  namespaced: true,
  subresources: [statusSubresource],
  strategy: {
    ...withoutGeneration(specAndStatus<PersistentVolumeClaim>(() => ({ phase: 'Pending' }))),
    setDefaults: setClaimDefaults,
    validate: validatePersistentVolumeClaim,
    validateUpdate: validateClaimUpdate,
  },
})
