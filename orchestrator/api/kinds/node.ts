import { checkDnsSubdomain } from '../names.ts'
import { nodePrinter } from '../print/node.ts'
import type { Node } from '../types.ts'
import { validateNode, validateNodeUpdate } from '../validate/cluster.ts'
import { allVerbs, type Kind, proxySubresource, statusSubresource } from './kind.ts'

export const nodeKind: Kind<Node> = {
  group: '',
  version: 'v1',
  kind: 'Node',
  resource: 'nodes',
  singular: 'node',
  shortNames: ['no'],
  namespaced: false,
  definition: 'io.k8s.api.core.v1.Node',
  storedAt: '/registry/minions/',
  verbs: allVerbs,
  subresources: [proxySubresource('NodeProxyOptions'), statusSubresource],
  strategy: {
    checkName: checkDnsSubdomain,
    setDefaults(node) {
      node.spec ??= {}
      node.status ??= {}
      if (node.status.capacity) node.status.allocatable ??= { ...node.status.capacity }
    },
    beforeUpdate(node, old) {
      if (old.status) node.status = old.status
    },
    beforeStatusUpdate(node, old) {
      if (old.spec) node.spec = old.spec
    },
    validate: validateNode,
    validateUpdate: validateNodeUpdate,
    fields: { 'spec.unschedulable': (node) => String(node.spec?.unschedulable ?? false) },
  },
  printer: nodePrinter,
}
