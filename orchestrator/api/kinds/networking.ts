import type { Ingress, IngressClass, IPAddress, NetworkPolicy, ServiceCIDR } from '../types.ts'
import { inGroup, isOtherContent, specAndStatus } from './define.ts'
import { statusSubresource } from './kind.ts'

const networking = inGroup('networking.k8s.io', 'v1', 'io.k8s.api.networking.v1.')

export const ingressKind = networking<Ingress>({
  kind: 'Ingress',
  resource: 'ingresses',
  shortNames: ['ing'],
  namespaced: true,
  storedAt: '/registry/ingress/',
  subresources: [statusSubresource],
  strategy: { ...specAndStatus<Ingress>(() => ({ loadBalancer: {} })) },
})

export const ingressClassKind = networking<IngressClass>({
  kind: 'IngressClass',
  resource: 'ingressclasses',
  namespaced: false,
  strategy: { isNewGeneration: isOtherContent },
})

export const networkPolicyKind = networking<NetworkPolicy>({
  kind: 'NetworkPolicy',
  resource: 'networkpolicies',
  shortNames: ['netpol'],
  namespaced: true,
  strategy: { isNewGeneration: isOtherContent },
})

export const ipAddressKind = networking<IPAddress>({
  kind: 'IPAddress',
  resource: 'ipaddresses',
  shortNames: ['ip'],
  namespaced: false,
})

export const serviceCidrKind = networking<ServiceCIDR>({
  kind: 'ServiceCIDR',
  resource: 'servicecidrs',
  namespaced: false,
  subresources: [statusSubresource],
  strategy: { ...specAndStatus<ServiceCIDR>(() => ({})) },
})
