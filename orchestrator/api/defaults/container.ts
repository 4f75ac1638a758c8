/** Source: k8s.io/kubernetes/pkg/apis/core/v1/defaults.go. */
import { formatQuantity, parseQuantity } from '../quantity.ts'
import type { Container, Probe } from '../types.ts'

/** Sets what a container leaves open. */
export function setContainerDefaults(container: Container): void {
  container.terminationMessagePath ??= '/dev/termination-log'
  container.terminationMessagePolicy ??= 'File'
  container.imagePullPolicy ??= pullPolicyOf(container.image ?? '')
  container.resources ??= {}
  setRequestDefaults(container)
  for (const port of container.ports ?? []) port.protocol ??= 'TCP'
  for (const { valueFrom } of container.env ?? []) {
    if (valueFrom?.fieldRef) valueFrom.fieldRef.apiVersion ??= 'v1'
    if (valueFrom?.resourceFieldRef) valueFrom.resourceFieldRef.divisor ??= '0'
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) {
    if (probe) setProbeDefaults(probe)
  }
  setHandlerDefaults(container.lifecycle?.postStart)
  setHandlerDefaults(container.lifecycle?.preStop)
}

/** `Always` for `:latest` and for no tag at all; `IfNotPresent` otherwise. */
export function pullPolicyOf(image: string): string {
  const [name = ''] = image.split('@')
  const lastPart = name.split('/').at(-1) ?? ''
  const tag = lastPart.includes(':') ? lastPart.split(':').at(-1) : image.includes('@') ? 'digest' : 'latest'
  return tag === 'latest' ? 'Always' : 'IfNotPresent'
}

/** A limit without a request is a request too. */
function setRequestDefaults(container: Container): void {
  const { limits } = container.resources ?? {}
  if (!limits) return
  const requests = { ...container.resources?.requests }
  for (const [name, amount] of Object.entries(limits))
    if (!Object.hasOwn(requests, name)) requests[name] = formatQuantity(parseQuantity(amount))
  container.resources = { ...container.resources, requests }
}

function setProbeDefaults(probe: Probe): void {
  probe.timeoutSeconds ||= 1
  probe.periodSeconds ||= 10
  probe.successThreshold ||= 1
  probe.failureThreshold ||= 3
  setHandlerDefaults(probe)
  if (probe.grpc) probe.grpc.service ??= ''
}

function setHandlerDefaults(handler: Pick<Probe, 'httpGet'> | undefined): void {
  if (!handler?.httpGet) return
  handler.httpGet.path ||= '/'
  handler.httpGet.scheme ||= 'HTTP'
}
