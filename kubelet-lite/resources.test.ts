import { describe, expect, it } from 'vitest'
import type { Container, Pod } from '../orchestrator/api/types.ts'
import { podCgroup } from './pod-cgroup.ts'
import { containerResources, podResources } from './resources.ts'

type Amounts = Record<string, string>
const container = (requests: Amounts, limits: Amounts = {}, name = 'web'): Container => ({
  name,
  image: 'image',
  resources: { requests, limits },
})
const pod = (...containers: Container[]): Pod => ({ metadata: { uid: 'u' }, spec: { containers } })
const node = 1000 * 1024 ** 2

describe('containerResources', () => {
  it('shares from the request, quota and memory from the limits', () => {
    const web = container({ cpu: '250m', memory: '64Mi' }, { cpu: '1500m', memory: '128Mi' })
    expect(containerResources(web, pod(web), node)).toEqual({
      cpuShares: 256,
      cpuQuotaMicros: 150_000,
      cpuPeriodMicros: 100_000,
      memoryLimitBytes: 128 * 1024 ** 2,
      oomScoreAdj: 936,
    })
  })
  it('nothing asked: the least weight, no limit, first to be killed', () => {
    const web = container({})
    expect(containerResources(web, pod(web), node)).toEqual({ cpuShares: 2, oomScoreAdj: 1000 })
  })
  it('a limit alone counts as the request; Guaranteed pods are killed last', () => {
    const web = container({}, { cpu: '2', memory: '64Mi' })
    expect(containerResources(web, pod(web), node)).toMatchObject({ cpuShares: 2048, oomScoreAdj: -997 })
  })
  it('the smallest quota that the kernel takes', () => {
    const web = container({}, { cpu: '1m' })
    expect(containerResources(web, pod(web), node)).toMatchObject({ cpuShares: 2, cpuQuotaMicros: 1000 })
  })
})

describe('podResources', () => {
  it('sums, and limits only where every container has one', () => {
    const limited = container({ cpu: '500m' }, { cpu: '1', memory: '64Mi' })
    expect(podResources(pod(limited, limited))).toMatchObject({
      cpuShares: 1024,
      cpuQuotaMicros: 200_000,
      memoryLimitBytes: 128 * 1024 ** 2,
    })
    expect(podResources(pod(limited, container({})))).toEqual({ cpuShares: 512 })
  })
  it('what the runtime takes for itself is added, and makes no limit where there is none', () => {
    const limited = container({ cpu: '500m' }, { cpu: '1', memory: '64Mi' })
    const overhead = { cpu: '250m', memory: '16Mi' }
    const heavy = ({ spec, ...of }: Pod): Pod => ({ ...of, spec: { containers: [], ...spec, overhead } })
    expect(podResources(heavy(pod(limited)))).toMatchObject({
      cpuShares: 768,
      cpuQuotaMicros: 125_000,
      memoryLimitBytes: 80 * 1024 ** 2,
    })
    expect(podResources(heavy(pod(limited, container({}))))).toEqual({ cpuShares: 768 })
  })
})

describe('podCgroup', () => {
  it('lies below its class', () => {
    expect(podCgroup('coracle/n', pod(container({})))).toBe('coracle/n/besteffort/podu')
    expect(podCgroup('coracle/n', pod(container({ cpu: '1' })))).toBe('coracle/n/burstable/podu')
    const limits = { cpu: '1', memory: '1Gi' }
    expect(podCgroup('coracle/n', pod(container(limits, limits)))).toBe('coracle/n/podu')
  })
})
