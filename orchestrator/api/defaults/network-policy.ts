/** Source: k8s.io/kubernetes/pkg/apis/networking/v1/defaults.go. */
import type { NetworkPolicy } from '../types.ts'

/** A policy is about what comes in, and about what goes out when it says something of that. */
export function setNetworkPolicyDefaults({ spec }: NetworkPolicy): void {
  if (!spec) return
  if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress']
  const rules = [...(spec.ingress ?? []), ...(spec.egress ?? [])]
  for (const port of rules.flatMap(({ ports }) => ports ?? [])) port.protocol ??= 'TCP'
}
