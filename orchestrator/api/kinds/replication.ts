import type { PodTemplate, ReplicationController } from '../types.ts'
import { inGroup, isOtherContent, specAndStatus } from './define.ts'
import { scaleSubresource, statusSubresource } from './kind.ts'

const core = inGroup('', 'v1', 'io.k8s.api.core.v1.')

export const podTemplateKind = core<PodTemplate>({
  kind: 'PodTemplate',
  resource: 'podtemplates',
  namespaced: true,
  strategy: { isNewGeneration: isOtherContent },
})

export const replicationControllerKind = core<ReplicationController>({
  kind: 'ReplicationController',
  resource: 'replicationcontrollers',
  shortNames: ['rc'],
  categories: ['all'],
  namespaced: true,
  storedAt: '/registry/controllers/',
  subresources: [scaleSubresource, statusSubresource],
  strategy: { ...specAndStatus<ReplicationController>(() => ({ replicas: 0 })) },
})
