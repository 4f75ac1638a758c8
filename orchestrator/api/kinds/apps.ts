import {
  setDaemonSetDefaults,
  setDeploymentDefaults,
  setReplicaSetDefaults,
  setStatefulSetDefaults,
} from '../defaults/workload.ts'
import {
  controllerRevisionPrinter,
  daemonSetPrinter,
  deploymentPrinter,
  replicaSetPrinter,
  statefulSetPrinter,
} from '../print/workload.ts'
import type { ControllerRevision, DaemonSet, Deployment, ReplicaSet, StatefulSet } from '../types.ts'
import {
  validateControllerRevision,
  validateControllerRevisionUpdate,
  validateDaemonSet,
  validateDeployment,
  validateReplicaSet,
  validateSameSelector,
  validateStatefulSet,
  validateStatefulSetUpdate,
} from '../validate/workload.ts'
import { inGroup, specAndStatus } from './define.ts'
import { scaleSubresource, statusSubresource } from './kind.ts'
import {
  beginTemplateGeneration,
  countTemplateGeneration,
  setTemplateGenerationDefault,
} from './template-generation.ts'

const apps = inGroup('apps', 'v1', 'io.k8s.api.apps.v1.')
const subresources = [scaleSubresource, statusSubresource]

export const deploymentKind = apps<Deployment>({
  kind: 'Deployment',
  resource: 'deployments',
  printer: deploymentPrinter,
  shortNames: ['deploy'],
  categories: ['all'],
  namespaced: true,
  subresources,
  strategy: {
    ...specAndStatus<Deployment>(() => ({})),
    setDefaults: setDeploymentDefaults,
    validate: validateDeployment,
    validateUpdate: validateSameSelector,
  },
})

export const replicaSetKind = apps<ReplicaSet>({
  kind: 'ReplicaSet',
  resource: 'replicasets',
  printer: replicaSetPrinter,
  shortNames: ['rs'],
  categories: ['all'],
  namespaced: true,
  subresources,
  strategy: {
    ...specAndStatus<ReplicaSet>(() => ({ replicas: 0 })),
    setDefaults: setReplicaSetDefaults,
    validate: validateReplicaSet,
    validateUpdate: validateSameSelector,
    fields: { 'status.replicas': ({ status }) => String(status?.replicas ?? 0) },
  },
})

export const statefulSetKind = apps<StatefulSet>({
  kind: 'StatefulSet',
  resource: 'statefulsets',
  printer: statefulSetPrinter,
  shortNames: ['sts'],
  categories: ['all'],
  namespaced: true,
  subresources,
  strategy: {
    ...specAndStatus<StatefulSet>(() => ({ replicas: 0 })),
    setDefaults: setStatefulSetDefaults,
    validate: validateStatefulSet,
    validateUpdate: validateStatefulSetUpdate,
  },
})

const daemonSetStatus = specAndStatus<DaemonSet>(() => ({
  currentNumberScheduled: 0,
  desiredNumberScheduled: 0,
  numberMisscheduled: 0,
  numberReady: 0,
}))

export const daemonSetKind = apps<DaemonSet>({
  kind: 'DaemonSet',
  resource: 'daemonsets',
  printer: daemonSetPrinter,
  shortNames: ['ds'],
  categories: ['all'],
  namespaced: true,
  subresources: [statusSubresource],
  strategy: {
    ...daemonSetStatus,
    beforeCreate(object, creator) {
      daemonSetStatus.beforeCreate?.(object, creator)
      beginTemplateGeneration(object)
    },
    beforeUpdate(object, old) {
      daemonSetStatus.beforeUpdate?.(object, old)
      countTemplateGeneration(object, old)
    },
    beforeStatusUpdate(object, old) {
      daemonSetStatus.beforeStatusUpdate?.(object, old)
      countTemplateGeneration(object, old)
    },
    setDefaults(object) {
      setDaemonSetDefaults(object)
      setTemplateGenerationDefault(object)
    },
    validate: validateDaemonSet,
    validateUpdate: validateSameSelector,
  },
})

export const controllerRevisionKind = apps<ControllerRevision>({
  kind: 'ControllerRevision',
  resource: 'controllerrevisions',
  printer: controllerRevisionPrinter,
  namespaced: true,
  strategy: { validate: validateControllerRevision, validateUpdate: validateControllerRevisionUpdate },
})
