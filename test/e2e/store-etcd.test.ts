import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Pod } from '../../orchestrator/api/types.ts'
import { Etcd, hasEtcd } from '../fixtures/etcd.ts'
import { Cluster, eventually, preferredKubectl, projectRoot, runProgram } from './cluster.ts'

const pod = JSON.stringify({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'kept' },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'main', image: 'coracle.local/busybox:1', command: ['sleep', '10000'] }],
  },
})

describe.skipIf(!hasEtcd || preferredKubectl() === undefined)('a node whose objects are in etcd', () => {
  let etcd: Etcd
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start(60_000, {
      flags: ['--store', 'etcd=http://127.0.0.1:2379'],
      prepare: async (enter) => {
        etcd = await Etcd.start({ hosts: [{ client: '127.0.0.1', peer: '127.0.0.1', enter }] })
      },
    })
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
    await etcd?.[Symbol.asyncDispose]()
  })
  const keys = () => etcd.ctl(['get', '--prefix', '--keys-only', '/registry/pods/']).trim()
  const running = () =>
    eventually('the pod to run', async () => {
      const found = await cluster.json<Pod>(['get', 'pod', 'kept'])
      return found.status?.phase === 'Running' && found
    })

  it('kill -9 of the node: the pod is the same one afterwards, and its key is where Kubernetes has it', async () => {
    await cluster.apply(pod)
    const before = await running()
    expect(keys()).toBe('/registry/pods/default/kept')
    await cluster.stop('SIGKILL')
    await cluster.up()
    expect((await running()).metadata?.uid).toBe(before.metadata?.uid)
  })

  it('coracle store says where the objects are, and down takes away what is of this node', async () => {
    const args = ['store', 'backup', '/nowhere', '--data-dir', cluster.dataDir]
    const { code, stderr } = await runProgram(`${projectRoot}/bin/coracle`, args)
    expect(code).toBe(1)
    expect(stderr).toContain('etcdctl snapshot save')
    expect((await cluster.down()).code).toBe(0)
    expect(keys()).toBe('')
    expect(etcd.ctl(['get', '--prefix', '--keys-only', '/registry/namespaces/'])).toContain(
      '/registry/namespaces/default',
    )
    await cluster.up()
  })
})
