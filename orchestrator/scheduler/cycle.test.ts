import { describe, expect, it } from 'vitest'
import type { Node, Pod } from '../api/types.ts'
import { SchedulerCache } from './cache.ts'
import { decide, explainFailure } from './cycle.ts'
import { defaultPlugins } from './plugins/index.ts'
import { podInfo } from './pod-info.ts'

const aNode = (name: string, change: Partial<Node> = {}): Node => ({
  metadata: { name, labels: { 'kubernetes.io/hostname': name } },
  status: { allocatable: { cpu: '2', memory: '4Gi', pods: '10' } },
  ...change,
})
const aPod = (change: Partial<NonNullable<Pod['spec']>> & { cpu?: string; name?: string } = {}): Pod => {
  const { cpu = '500m', name = 'p', ...spec } = change
  const containers = [{ name: 'web', resources: { requests: { cpu, memory: '256Mi' } } }]
  return { metadata: { name, namespace: 'default', uid: name }, spec: { containers, ...spec } }
}
const decideAmong = (nodes: readonly Node[], pod: Pod, placed: readonly [Pod, string][] = []) => {
  const cache = new SchedulerCache()
  for (const node of nodes) cache.setNode(node)
  for (const [each, node] of placed) cache.place(each, node)
  return decide(podInfo(pod), cache.nodes(), { plugins: defaultPlugins, now: 0, tieBreak: 0 })
}

describe('decide', () => {
  it('NodeResourcesFit: refuses a node without room', () => {
    const decision = decideAmong([aNode('small')], aPod({ cpu: '3' }))
    expect(decision.node).toBeUndefined()
    expect(decision.refused.get('small')).toEqual({ plugin: 'NodeResourcesFit', reason: 'Insufficient cpu' })
  })
  it('LeastAllocated: takes the emptier of two', () => {
    const decision = decideAmong([aNode('full'), aNode('free')], aPod(), [[aPod({ name: 'other' }), 'full']])
    expect(decision.node).toBe('free')
  })
  it('TaintToleration: a taint and a cordon keep pods away that do not tolerate them', () => {
    const tainted = aNode('a', { spec: { taints: [{ key: 'gpu', value: 'yes', effect: 'NoSchedule' }] } })
    const cordoned = aNode('b', { spec: { unschedulable: true } })
    expect(decideAmong([tainted, cordoned], aPod()).node).toBeUndefined()
    const tolerations = [{ key: 'gpu', operator: 'Equal', value: 'yes', effect: 'NoSchedule' }]
    expect(decideAmong([tainted, cordoned], aPod({ tolerations })).node).toBe('a')
  })
  it('NodeAffinity: nodeSelector and required terms', () => {
    const nodes = [aNode('a'), aNode('b')]
    expect(decideAmong(nodes, aPod({ nodeSelector: { 'kubernetes.io/hostname': 'b' } })).node).toBe('b')
    const matchExpressions = [{ key: 'kubernetes.io/hostname', operator: 'NotIn', values: ['a'] }]
    const required = { nodeSelectorTerms: [{ matchExpressions }] }
    const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } }
    expect(decideAmong(nodes, aPod({ affinity })).node).toBe('b')
  })
  it('UnsupportedConstraints: what depends on other pods waits and says why', () => {
    const term = { topologyKey: 'kubernetes.io/hostname', labelSelector: { matchLabels: { app: 'web' } } }
    const affinity = { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } }
    expect(explainFailure(decideAmong([aNode('a')], aPod({ affinity })))).toBe(
      '0/1 nodes are available: 1 node(s) cannot be judged: required pod (anti-)affinity is not supported yet.',
    )
    const spread = { maxSkew: 1, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }
    expect(decideAmong([aNode('a')], aPod({ topologySpreadConstraints: [spread] })).node).toBeUndefined()
    const soft = { ...spread, whenUnsatisfiable: 'ScheduleAnyway' }
    expect(decideAmong([aNode('a')], aPod({ topologySpreadConstraints: [soft] })).node).toBe('a')
  })
  it('scores: kept node by node and plugin by plugin', () => {
    const { scores } = decideAmong([aNode('a')], aPod())
    expect(Object.keys(scores.get('a') ?? {})).toEqual([
      'NodeResourcesLeastAllocated',
      'NodeResourcesBalancedAllocation',
    ])
  })
  it("explainFailure: counts reasons in Kubernetes' words", () => {
    const nodes = [aNode('a'), aNode('b'), aNode('c', { spec: { unschedulable: true } })]
    const text = explainFailure(decideAmong(nodes, aPod({ cpu: '64' })))
    expect(text).toBe('0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu.')
    expect(explainFailure(decideAmong([], aPod()))).toBe('no nodes available to schedule pods')
  })
})

describe('SchedulerCache', () => {
  it('place: counts a pod once, and gives its room back', () => {
    const cache = new SchedulerCache()
    cache.setNode(aNode('a'))
    for (let round = 0; round < 3; round++) cache.place(aPod(), 'a')
    expect(cache.nodes()[0]?.requested).toEqual({ cpuMillis: 500, memoryBytes: 268_435_456, pods: 1 })
    cache.remove('p')
    expect(cache.nodes()[0]?.requested).toEqual({ cpuMillis: 0, memoryBytes: 0, pods: 0 })
  })
})

describe('podInfo', () => {
  it('requests: the larger of the largest init container and the sum of the others', () => {
    const initContainers = [{ name: 'init', resources: { requests: { cpu: '2' } } }]
    expect(podInfo(aPod({ initContainers })).requests).toMatchObject({ cpuMillis: 2000, memoryBytes: 268_435_456 })
  })
})
