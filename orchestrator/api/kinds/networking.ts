import { setNetworkPolicyDefaults } from '../defaults/network-policy.ts'
import {
  ingressClassPrinter,
  ingressPrinter,
  ipAddressPrinter,
  networkPolicyPrinter,
  serviceCidrPrinter,
} from '../print/networking.ts'
import type { Ingress, IngressClass, IPAddress, NetworkPolicy, ServiceCIDR } from '../types.ts'
import {
  validateIngress,
  validateIngressClass,
  validateIngressClassUpdate,
  validateIpAddress,
  validateIpAddressUpdate,
  validateNetworkPolicy,
  validateServiceCidr,
  validateServiceCidrUpdate,
} from '../validate/networking.ts'
import { inGroup, isOtherContent, specAndStatus } from './define.ts'
import { statusSubresource } from './kind.ts'

const networking = inGroup('networking.k8s.io', 'v1', 'io.k8s.api.networking.v1.')

export const ingressKind = networking<Ingress>({
  kind: 'Ingress',
  resource: 'ingresses',
  printer: ingressPrinter,
  shortNames: ['ing'],
  namespaced: true,
  storedAt: '/registry/ingress/',
  subresources: [statusSubresource],
  strategy: { ...specAndStatus<Ingress>(() => ({ loadBalancer: {} })), validate: validateIngress },
})

export const ingressClassKind = networking<IngressClass>({
  kind: 'IngressClass',
  resource: 'ingressclasses',
  printer: ingressClassPrinter,
  namespaced: false,
  strategy: {
    validate: validateIngressClass,
    validateUpdate: validateIngressClassUpdate,
    isNewGeneration: isOtherContent,
  },
})

export const networkPolicyKind = networking<NetworkPolicy>({
  kind: 'NetworkPolicy',
  resource: 'networkpolicies',
  printer: networkPolicyPrinter,
  shortNames: ['netpol'],
  namespaced: true,
  strategy: { setDefaults: setNetworkPolicyDefaults, validate: validateNetworkPolicy, isNewGeneration: isOtherContent },
})

export const ipAddressKind = networking<IPAddress>({
  kind: 'IPAddress',
  resource: 'ipaddresses',
  printer: ipAddressPrinter,
  shortNames: ['ip'],
  namespaced: false,
  strategy: {
    checkName: () => [],
    validate: validateIpAddress,
    validateUpdate: validateIpAddressUpdate,
    fields: {
      'spec.parentRef.group': ({ spec }) => spec?.parentRef?.group ?? '',
      'spec.parentRef.resource': ({ spec }) => spec?.parentRef?.resource ?? '',
      'spec.parentRef.namespace': ({ spec }) => spec?.parentRef?.namespace ?? '',
      'spec.parentRef.name': ({ spec }) => spec?.parentRef?.name ?? '',
    },
  },
})

export const serviceCidrKind = networking<ServiceCIDR>({
  kind: 'ServiceCIDR',
  resource: 'servicecidrs',
  printer: serviceCidrPrinter,
  namespaced: false,
  subresources: [statusSubresource],
  strategy: {
    ...specAndStatus<ServiceCIDR>(() => ({})),
    validate: validateServiceCidr,
    validateUpdate: validateServiceCidrUpdate,
  },
})
