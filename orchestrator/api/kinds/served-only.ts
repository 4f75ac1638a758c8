/** Kinds that are made up when somebody asks: health of components, use of resources. */
import { componentStatusPrinter } from '../print/simple.ts'
import type { ComponentStatus } from '../types.ts'
import { inGroup } from './define.ts'
import type { Kind } from './kind.ts'

const reading = { storedAt: '', verbs: ['get', 'list'] } as const
const core = inGroup('', 'v1', 'io.k8s.api.core.v1.')
const metrics = inGroup('metrics.k8s.io', 'v1beta1', 'io.k8s.metrics.pkg.apis.metrics.v1beta1.')

export const componentStatusKind = core<ComponentStatus>({
  ...reading,
  kind: 'ComponentStatus',
  resource: 'componentstatuses',
  shortNames: ['cs'],
  namespaced: false,
  printer: componentStatusPrinter,
})

export const nodeMetricsKind: Kind = metrics({ ...reading, kind: 'NodeMetrics', resource: 'nodes', namespaced: false })

export const podMetricsKind: Kind = metrics({ ...reading, kind: 'PodMetrics', resource: 'pods', namespaced: true })
