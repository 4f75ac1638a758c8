/** Source: k8s.io/kubernetes/pkg/apis/core/v1/defaults.go. */
import type { Container, Pod } from '../types.ts'
import { setContainerDefaults } from './container.ts'
import { setVolumeDefaults } from './volume.ts'

/** Sets what a pod leaves open. */
export function setPodDefaults(pod: Pod): void {
  const spec = pod.spec
  if (!spec) return
  spec.restartPolicy ??= 'Always'
  spec.dnsPolicy ??= 'ClusterFirst'
  spec.terminationGracePeriodSeconds ??= 30
  spec.securityContext ??= {}
  spec.schedulerName ||= 'default-scheduler'
  spec.enableServiceLinks ??= true
  // The old name of the same field stays in step, as old clients read it.
  if (spec.serviceAccountName ?? spec.serviceAccount) {
    spec.serviceAccountName ??= spec.serviceAccount as string
    spec.serviceAccount = spec.serviceAccountName
  }
  for (const volume of spec.volumes ?? []) setVolumeDefaults(volume)
  for (const container of containersOf(pod)) {
    setContainerDefaults(container)
    if (spec.hostNetwork) for (const port of container.ports ?? []) port.hostPort ||= port.containerPort
  }
}

/** All containers: init, ordinary and ephemeral ones. */
export function containersOf(pod: Pod): Container[] {
  const { initContainers = [], containers = [], ephemeralContainers = [] } = pod.spec ?? {}
  return [...initContainers, ...containers, ...ephemeralContainers]
}
