/** Source: k8s.io/kubernetes/pkg/apis/apps/v1/defaults.go. */
import type { DaemonSet, Deployment, PodTemplateSpec, ReplicaSet, StatefulSet } from '../types.ts'
import { setPodDefaults } from './pod.ts'

/** Sets what the pods of a template leave open. */
export function setTemplateDefaults(template: PodTemplateSpec | undefined): void {
  if (template?.spec) setPodDefaults({ spec: template.spec })
}

/** Sets what a Deployment leaves open. */
export function setDeploymentDefaults({ spec }: Deployment): void {
  if (!spec) return
  spec.replicas ??= 1
  spec.strategy ??= {}
  spec.strategy.type ??= 'RollingUpdate'
  if (spec.strategy.type === 'RollingUpdate') {
    spec.strategy.rollingUpdate = { maxUnavailable: '25%', maxSurge: '25%', ...spec.strategy.rollingUpdate }
  }
  spec.revisionHistoryLimit ??= 10
  spec.progressDeadlineSeconds ??= 600
  setTemplateDefaults(spec.template)
}

/** Sets what a ReplicaSet leaves open. */
export function setReplicaSetDefaults({ spec }: ReplicaSet): void {
  if (!spec) return
  spec.replicas ??= 1
  setTemplateDefaults(spec.template)
}

/** Sets what a DaemonSet leaves open. */
export function setDaemonSetDefaults({ spec }: DaemonSet): void {
  if (!spec) return
  spec.updateStrategy ??= {}
  spec.updateStrategy.type ??= 'RollingUpdate'
  if (spec.updateStrategy.type === 'RollingUpdate') {
    spec.updateStrategy.rollingUpdate = { maxUnavailable: 1, maxSurge: 0, ...spec.updateStrategy.rollingUpdate }
  }
  spec.revisionHistoryLimit ??= 10
  setTemplateDefaults(spec.template)
}

/** Sets what a StatefulSet leaves open. */
export function setStatefulSetDefaults({ spec }: StatefulSet): void {
  if (!spec) return
  spec.podManagementPolicy ??= 'OrderedReady'
  spec.updateStrategy ??= {}
  spec.updateStrategy.type ??= 'RollingUpdate'
  if (spec.updateStrategy.type === 'RollingUpdate') {
    spec.updateStrategy.rollingUpdate = { partition: 0, ...spec.updateStrategy.rollingUpdate }
  }
  spec.persistentVolumeClaimRetentionPolicy = {
    whenDeleted: 'Retain',
    whenScaled: 'Retain',
    ...spec.persistentVolumeClaimRetentionPolicy,
  }
  spec.replicas ??= 1
  spec.revisionHistoryLimit ??= 10
  for (const claim of spec.volumeClaimTemplates ?? []) {
    claim.spec ??= {}
    claim.spec.volumeMode ??= 'Filesystem'
    claim.status = { phase: 'Pending', ...claim.status }
  }
  setTemplateDefaults(spec.template)
}
