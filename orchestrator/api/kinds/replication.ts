import { setTemplateDefaults } from '../defaults/workload.ts'
import { podTemplatePrinter, replicationControllerPrinter } from '../print/workload.ts'
import type { PodTemplate, ReplicationController } from '../types.ts'
import { validatePodTemplate, validateReplicationController } from '../validate/replication.ts'
import { inGroup, isOtherContent, specAndStatus } from './define.ts'
import { scaleSubresource, statusSubresource } from './kind.ts'

const core = inGroup('', 'v1', 'io.k8s.api.core.v1.')

export const podTemplateKind = core<PodTemplate>({
  kind: 'PodTemplate',
  resource: 'podtemplates',
  printer: podTemplatePrinter,
  namespaced: true,
  strategy: {
    setDefaults: ({ template }) => setTemplateDefaults(template),
    validate: validatePodTemplate,
    isNewGeneration: isOtherContent,
  },
})

/** Labels and selector are those of the template, unless said. */
function setReplicationDefaults(controller: ReplicationController): void {
  const { spec } = controller
  if (!spec) return
  const labels = spec.template?.metadata?.labels
  spec.replicas ??= 1
  if (labels && !Object.keys(spec.selector ?? {}).length) spec.selector = { ...labels }
  if (labels && !Object.keys(controller.metadata?.labels ?? {}).length) {
    controller.metadata = { ...controller.metadata, labels: { ...labels } }
  }
  setTemplateDefaults(spec.template)
}

export const replicationControllerKind = core<ReplicationController>({
  kind: 'ReplicationController',
  resource: 'replicationcontrollers',
  printer: replicationControllerPrinter,
  shortNames: ['rc'],
  categories: ['all'],
  namespaced: true,
  storedAt: '/registry/controllers/',
  subresources: [scaleSubresource, statusSubresource],
  strategy: {
    ...specAndStatus<ReplicationController>(() => ({ replicas: 0 })),
    setDefaults: setReplicationDefaults,
    validate: validateReplicationController,
    fields: { 'status.replicas': ({ status }) => String(status?.replicas ?? 0) },
  },
})
