import { describe, expect, it } from 'vitest'
import type { Container, Node, Pod } from '../../api/types.ts'
import type { NodeInfo } from '../framework.ts'
import { allocatableOf, podInfo } from '../pod-info.ts'
import { extendedResources } from './extended-resources.ts'
import { nodePorts } from './node-ports.ts'

const aPod = (container: Partial<Container>): Pod => ({ spec: { containers: [{ name: 'main', ...container }] } })
const aNode = (allocatable: Record<string, string>, ...pods: Pod[]): NodeInfo => {
  const node = { metadata: { name: 'n' }, status: { allocatable } } as unknown as Node
  const nothing = { cpuMillis: 0, memoryBytes: 0, pods: 0 }
  const byUid = new Map(pods.map((pod, index) => [String(index), pod]))
  return { name: 'n', node, pods: byUid, allocatable: allocatableOf(node), requested: nothing }
}

describe('nodePorts', () => {
  const port = (hostPort: number, more = {}) => aPod({ ports: [{ containerPort: 80, hostPort, ...more }] })
  const verdict = (wanted: Pod, taken: Pod) => nodePorts.filter(podInfo(wanted), aNode({}, taken))
  it('the same port, protocol and address collide', () => {
    expect(verdict(port(80), port(80))).toMatch(/free ports/)
    expect(verdict(port(80), port(81))).toBeUndefined()
    expect(verdict(port(80), port(80, { protocol: 'UDP' }))).toBeUndefined()
  })
  it('every address includes each single one', () => {
    expect(verdict(port(80), port(80, { hostIP: '127.0.0.1' }))).toMatch(/free ports/)
    expect(verdict(port(80, { hostIP: '127.0.0.2' }), port(80, { hostIP: '127.0.0.1' }))).toBeUndefined()
  })
})

describe('extendedResources', () => {
  const gpu = (count: string) => aPod({ resources: { requests: { 'example.com/gpu': count, cpu: '1' } } })
  const verdict = (wanted: Pod, node: NodeInfo) => extendedResources.filter(podInfo(wanted), node)
  it('a node without the resource, or without enough of it left', () => {
    expect(verdict(gpu('1'), aNode({ cpu: '4' }))).toBe('Insufficient example.com/gpu')
    expect(verdict(gpu('1'), aNode({ 'example.com/gpu': '2' }, gpu('1')))).toBeUndefined()
    expect(verdict(gpu('1'), aNode({ 'example.com/gpu': '2' }, gpu('2')))).toBe('Insufficient example.com/gpu')
  })
  it('a pod that asks for none fits', () => {
    expect(verdict(aPod({ resources: { requests: { cpu: '1' } } }), aNode({}))).toBeUndefined()
  })
})
