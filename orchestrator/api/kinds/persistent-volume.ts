import type { PersistentVolume, PersistentVolumeClaim } from '../types.ts'
import { inGroup, specAndStatus } from './define.ts'
import { statusSubresource } from './kind.ts'

const core = inGroup('', 'v1', 'io.k8s.api.core.v1.')

export const persistentVolumeKind = core<PersistentVolume>({
  kind: 'PersistentVolume',
  resource: 'persistentvolumes',
  shortNames: ['pv'],
  namespaced: false,
  subresources: [statusSubresource],
  strategy: { ...specAndStatus<PersistentVolume>(() => ({ phase: 'Pending' })) },
})

export const persistentVolumeClaimKind = core<PersistentVolumeClaim>({
  kind: 'PersistentVolumeClaim',
  resource: 'persistentvolumeclaims',
  shortNames: ['pvc'],
  namespaced: true,
  subresources: [statusSubresource],
  strategy: { ...specAndStatus<PersistentVolumeClaim>(() => ({ phase: 'Pending' })) },
})
