import { describe, expect, it } from 'vitest'
import type { Container, Node, Pod, PodSpec } from '../orchestrator/api/types.ts'
import { hasFreePorts, hasRoom } from './room.ts'
import { allowsSysctls } from './sysctls.ts'

const node = { status: { allocatable: { cpu: '2', memory: '1Gi', pods: '2' } } } as unknown as Node
const aPod = (container: Partial<Container>, spec: Partial<PodSpec> = {}): Pod => ({
  spec: { containers: [{ name: 'main', ...container }], ...spec },
})
const asking = (cpu: string, spec: Partial<PodSpec> = {}) => aPod({ resources: { requests: { cpu } } }, spec)

describe('hasRoom', () => {
  it('what is left counts, in the words of the kubelet', () => {
    expect(hasRoom(asking('1'), node, [asking('1')])).toBeUndefined()
    expect(hasRoom(asking('1500m'), node, [asking('1')])).toEqual({
      reason: 'OutOfcpu',
      message: "Pod was rejected: Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000",
    })
  })
  it('init containers run alone, sidecars beside the others', () => {
    const init = (restartPolicy?: string) => ({
      initContainers: [
        { name: 'i', resources: { requests: { cpu: '1500m' } }, ...(restartPolicy ? { restartPolicy } : {}) },
      ],
    })
    expect(hasRoom(asking('1', init()), node, [])).toBeUndefined()
    expect(hasRoom(asking('1', init('Always')), node, [])?.reason).toBe('OutOfcpu')
  })
  it('pods, and resources that the node does not have', () => {
    expect(hasRoom(aPod({}), node, [aPod({}), aPod({})])?.reason).toBe('OutOfpods')
    expect(hasRoom(aPod({ resources: { requests: { 'example.com/gpu': '1' } } }), node, [])?.reason).toBe(
      'OutOfexample.com/gpu',
    )
  })
})

describe('hasFreePorts', () => {
  const port = (hostPort: number, hostIP?: string) =>
    aPod({ ports: [{ containerPort: 80, hostPort, ...(hostIP ? { hostIP } : {}) }] })
  it('a port of the node belongs to one pod', () => {
    expect(hasFreePorts(port(80), node, [port(80, '127.0.0.1')])?.reason).toBe('NodePorts')
    expect(hasFreePorts(port(80, '127.0.0.2'), node, [port(80, '127.0.0.1'), port(81)])).toBeUndefined()
  })
})

describe('allowsSysctls', () => {
  const setting = (name: string, spec: Partial<PodSpec> = {}) =>
    allowsSysctls(aPod({}, { ...spec, securityContext: { sysctls: [{ name, value: '1' }] } }), node, [])?.message
  it('only those that belong to the pod alone', () => {
    expect(setting('net.ipv4.tcp_syncookies')).toBeUndefined()
    expect(setting('net/ipv4/tcp_syncookies')).toBeUndefined()
    expect(setting('kernel.panic')).toContain('forbidden sysctl: "kernel.panic" not allowlisted')
  })
  it('none in a namespace of the node', () => {
    expect(setting('net.ipv4.tcp_syncookies', { hostNetwork: true })).toContain('host net')
    expect(setting('kernel.shm_rmid_forced', { hostIPC: true })).toContain('host ipc')
  })
})
