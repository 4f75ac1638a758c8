import { checkDnsLabel } from '../names.ts'
import { namespacePrinter } from '../print/simple.ts'
import type { Namespace } from '../types.ts'
import { allVerbs, type Kind, statusSubresource } from './kind.ts'

/** The finalizer in `spec` that the namespace controller removes when the namespace is empty. */
export const namespaceFinalizer = 'kubernetes'

export const namespaceKind: Kind<Namespace> = {
  group: '',
  version: 'v1',
  kind: 'Namespace',
  resource: 'namespaces',
  singular: 'namespace',
  shortNames: ['ns'],
  namespaced: false,
  definition: 'io.k8s.api.core.v1.Namespace',
  storedAt: '/registry/namespaces/',
  verbs: allVerbs.filter((verb) => verb !== 'deletecollection'),
  subresources: [{ name: 'finalize', verbs: ['update'] }, statusSubresource],
  strategy: {
    checkName: checkDnsLabel,
    setDefaults(namespace) {
      const name = namespace.metadata?.name
      if (!name) return
      namespace.metadata = {
        ...namespace.metadata,
        labels: { ...namespace.metadata?.labels, 'kubernetes.io/metadata.name': name },
      }
    },
    beforeCreate(namespace) {
      const finalizers = namespace.spec?.finalizers ?? []
      namespace.spec = { finalizers: [...new Set([...finalizers, namespaceFinalizer])] }
      namespace.status = { phase: 'Active' }
    },
    beforeUpdate(namespace, old) {
      if (old.spec) namespace.spec = old.spec
      if (old.status) namespace.status = old.status
    },
    beforeStatusUpdate(namespace, old) {
      if (old.spec) namespace.spec = old.spec
    },
    fields: { 'status.phase': (namespace) => namespace.status?.phase ?? '' },
  },
  printer: namespacePrinter,
}
