import { checkDnsSubdomain } from '../names.ts'
import { leasePrinter } from '../print/simple.ts'
import type { Lease } from '../types.ts'
import { validateLease } from '../validate/cluster.ts'
import { setEmptySpec } from './define.ts'
import { allVerbs, type Kind } from './kind.ts'

export const leaseKind: Kind<Lease> = {
  group: 'coordination.k8s.io',
  version: 'v1',
  kind: 'Lease',
  resource: 'leases',
  singular: 'lease',
  namespaced: true,
  definition: 'io.k8s.api.coordination.v1.Lease',
  storedAt: '/registry/leases/',
  verbs: allVerbs,
  subresources: [],
  strategy: {
    checkName: checkDnsSubdomain,
    setDefaults: setEmptySpec,
    validate: validateLease,
    unconditionalUpdate: false,
    createOnUpdate: true,
  },
  printer: leasePrinter,
}
