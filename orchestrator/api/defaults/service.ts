/** Source: k8s.io/kubernetes/pkg/apis/core/v1/defaults.go. */
import type { Service } from '../types.ts'

/** Sets what a service leaves open. Addresses are not a default: the server hands them out. */
export function setServiceDefaults(service: Service): void {
  service.spec ??= {}
  const spec = service.spec
  spec.sessionAffinity ??= 'None'
  spec.type ??= 'ClusterIP'
  if (spec.sessionAffinity === 'ClientIP') {
    spec.sessionAffinityConfig ??= {}
    spec.sessionAffinityConfig.clientIP ??= {}
    spec.sessionAffinityConfig.clientIP.timeoutSeconds ??= 10800
  }
  for (const port of spec.ports ?? []) {
    port.protocol ??= 'TCP'
    if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === '') port.targetPort = port.port
  }
  const isExternal = spec.type === 'NodePort' || spec.type === 'LoadBalancer'
  if (isExternal) spec.externalTrafficPolicy ??= 'Cluster'
  if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster'
  if (spec.type === 'LoadBalancer') spec.allocateLoadBalancerNodePorts ??= true
}
