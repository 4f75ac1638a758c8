import { setServiceDefaults } from '../defaults/service.ts'
import { isEqual } from '../equal.ts'
import { checkDns1035Label, checkDnsSubdomain } from '../names.ts'
import { endpointSlicePrinter, endpointsPrinter, servicePrinter } from '../print/service.ts'
import type { EndpointSlice, Endpoints, Service } from '../types.ts'
import {
  validateEndpointSlice,
  validateEndpointSliceUpdate,
  validateEndpoints,
  validateService,
  validateServiceUpdate,
} from '../validate/service.ts'
import { allVerbs, type Kind, proxySubresource, statusSubresource } from './kind.ts'

export const serviceKind: Kind<Service> = {
  group: '',
  version: 'v1',
  kind: 'Service',
  resource: 'services',
  singular: 'service',
  shortNames: ['svc'],
  categories: ['all'],
  namespaced: true,
  definition: 'io.k8s.api.core.v1.Service',
  storedAt: '/registry/services/specs/',
  verbs: allVerbs,
  subresources: [proxySubresource('ServiceProxyOptions'), statusSubresource],
  strategy: {
    checkName: checkDns1035Label,
    setDefaults: setServiceDefaults,
    beforeCreate(service) {
      service.status = { loadBalancer: {} }
    },
    beforeUpdate(service, old) {
      if (old.status) service.status = old.status
    },
    beforeStatusUpdate(service, old) {
      if (old.spec) service.spec = old.spec
    },
    validate: validateService,
    validateUpdate: validateServiceUpdate,
    fields: {
      'spec.clusterIP': (service) => service.spec?.clusterIP ?? '',
      'spec.type': (service) => service.spec?.type ?? '',
    },
  },
  printer: servicePrinter,
}

export const endpointsKind: Kind<Endpoints> = {
  group: '',
  version: 'v1',
  kind: 'Endpoints',
  resource: 'endpoints',
  singular: 'endpoints',
  shortNames: ['ep'],
  namespaced: true,
  definition: 'io.k8s.api.core.v1.Endpoints',
  storedAt: '/registry/services/endpoints/',
  verbs: allVerbs,
  subresources: [],
  strategy: {
    checkName: checkDnsSubdomain,
    setDefaults(endpoints) {
      for (const port of (endpoints.subsets ?? []).flatMap((subset) => subset.ports ?? [])) port.protocol ??= 'TCP'
    },
    validate: validateEndpoints,
    createOnUpdate: true,
  },
  printer: endpointsPrinter,
}

export const endpointSliceKind: Kind<EndpointSlice> = {
  group: 'discovery.k8s.io',
  version: 'v1',
  kind: 'EndpointSlice',
  resource: 'endpointslices',
  singular: 'endpointslice',
  namespaced: true,
  definition: 'io.k8s.api.discovery.v1.EndpointSlice',
  storedAt: '/registry/endpointslices/',
  verbs: allVerbs,
  subresources: [],
  strategy: {
    checkName: checkDnsSubdomain,
    setDefaults(slice) {
      for (const port of slice.ports ?? []) {
        port.name ??= ''
        port.protocol ??= 'TCP'
      }
    },
    validate: validateEndpointSlice,
    validateUpdate: validateEndpointSliceUpdate,
    isNewGeneration: (slice, old) => !isEqual({ ...slice, metadata: null }, { ...old, metadata: null }),
  },
  printer: endpointSlicePrinter,
}
