import type { KubeObject } from '../types.ts'
import { controllerRevisionKind, daemonSetKind, deploymentKind, replicaSetKind, statefulSetKind } from './apps.ts'
import { horizontalPodAutoscalerKind } from './autoscaling.ts'
import { cronJobKind, jobKind } from './batch.ts'
import { certificateSigningRequestKind } from './certificates.ts'
import { priorityClassKind, runtimeClassKind } from './classes.ts'
import { configMapKind, secretKind, serviceAccountKind } from './config.ts'
import { eventKind } from './event.ts'
import type { Kind } from './kind.ts'
import { leaseKind } from './lease.ts'
import { limitRangeKind, resourceQuotaKind } from './limits.ts'
import { namespaceKind } from './namespace.ts'
import { ingressClassKind, ingressKind, ipAddressKind, networkPolicyKind, serviceCidrKind } from './networking.ts'
import { nodeKind } from './node.ts'
import { otherVersions } from './older.ts'
import { persistentVolumeClaimKind, persistentVolumeKind } from './persistent-volume.ts'
import { podKind } from './pod.ts'
import { podDisruptionBudgetKind } from './policy.ts'
import { clusterRoleBindingKind, clusterRoleKind, roleBindingKind, roleKind } from './rbac.ts'
import { podTemplateKind, replicationControllerKind } from './replication.ts'
import { reviewKinds } from './reviews.ts'
import { componentStatusKind, nodeMetricsKind, podMetricsKind } from './served-only.ts'
import { endpointSliceKind, endpointsKind, serviceKind } from './service.ts'
import {
  csiDriverKind,
  csiNodeKind,
  csiStorageCapacityKind,
  storageClassKind,
  volumeAttachmentKind,
  volumeAttributesClassKind,
} from './storage.ts'

/** Every kind that is served from the start. A kind that is defined at run time becomes one more row. */
export const builtInKinds: readonly Kind[] = [
  row(configMapKind),
  row(endpointsKind),
  row(eventKind),
  row(limitRangeKind),
  row(namespaceKind),
  row(nodeKind),
  row(persistentVolumeClaimKind),
  row(persistentVolumeKind),
  row(podKind),
  row(podTemplateKind),
  row(replicationControllerKind),
  row(resourceQuotaKind),
  row(secretKind),
  row(serviceAccountKind),
  row(serviceKind),
  row(componentStatusKind),
  row(controllerRevisionKind),
  row(daemonSetKind),
  row(deploymentKind),
  row(replicaSetKind),
  row(statefulSetKind),
  row(horizontalPodAutoscalerKind),
  row(cronJobKind),
  row(jobKind),
  row(certificateSigningRequestKind),
  row(leaseKind),
  row(endpointSliceKind),
  row(ingressClassKind),
  row(ingressKind),
  row(ipAddressKind),
  row(networkPolicyKind),
  row(serviceCidrKind),
  row(runtimeClassKind),
  row(podDisruptionBudgetKind),
  row(clusterRoleBindingKind),
  row(clusterRoleKind),
  row(roleBindingKind),
  row(roleKind),
  row(priorityClassKind),
  row(csiDriverKind),
  row(csiNodeKind),
  row(csiStorageCapacityKind),
  row(storageClassKind),
  row(volumeAttachmentKind),
  row(volumeAttributesClassKind),
  nodeMetricsKind,
  podMetricsKind,
  ...reviewKinds,
  ...otherVersions,
]

/** The machinery hands a kind's functions only objects that were decoded by its own definition. */
function row<T extends KubeObject>(kind: Kind<T>): Kind {
  return kind as unknown as Kind
}

/** The rows, found by their place in the API. */
export class KindTable {
  readonly #byPlace = new Map<string, Kind>()

  constructor(kinds: readonly Kind[]) {
    for (const kind of kinds) this.#byPlace.set(placeOf(kind), kind)
  }

  all(): Kind[] {
    return [...this.#byPlace.values()]
  }

  find(place: { group: string; version: string; resource: string }): Kind | undefined {
    return this.#byPlace.get(placeOf(place))
  }
}

function placeOf({ group, version, resource }: { group: string; version: string; resource: string }): string {
  return `${group}/${version}/${resource}`
}

/** `v1`, `coordination.k8s.io/v1`. */
export function apiVersionOf({ group, version }: { group: string; version: string }): string {
  return group === '' ? version : `${group}/${version}`
}
