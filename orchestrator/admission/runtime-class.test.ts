import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aNamespace, aPlainPod } from '../../test/fixtures/namespace.ts'

let api: Awaited<ReturnType<typeof aNamespace>>
beforeEach(async () => {
  api = await aNamespace()
  await api.make('/apis/node.k8s.io/v1/runtimeclasses', {
    metadata: { name: 'vm' },
    handler: 'vm',
    overhead: { podFixed: { cpu: '100m' } },
    scheduling: { nodeSelector: { kvm: 'yes' }, tolerations: [{ key: 'kvm', operator: 'Exists' }] },
  })
})
afterEach(() => api.close())

const runtimeClassName = 'vm'

describe('runtimeClass', () => {
  it('gives overhead, nodes and tolerations', async () => {
    const { body } = await api.makePod(aPlainPod({ runtimeClassName, nodeSelector: { disk: 'fast' } }))
    expect(body.spec).toMatchObject({ overhead: { cpu: '100m' }, nodeSelector: { kvm: 'yes', disk: 'fast' } })
    expect(body.spec.tolerations).toContainEqual({ key: 'kvm', operator: 'Exists' })
  })

  it.each([
    [{ runtimeClassName: 'none' }, 'RuntimeClass "none" not found'],
    [{ overhead: { cpu: '1' } }, 'Pod Overhead set without corresponding RuntimeClass defined Overhead'],
    [{ runtimeClassName, overhead: { cpu: '1' } }, "Pod's Overhead doesn't match RuntimeClass's defined Overhead"],
    [
      { runtimeClassName, nodeSelector: { kvm: 'no' } },
      'conflict: runtimeClass.scheduling.nodeSelector[kvm] = yes, pod.spec.nodeSelector[kvm] = no',
    ],
  ])('refuses %j', async (spec, reason) => {
    expect((await api.makePod(aPlainPod(spec))).body).toMatchObject({
      code: 403,
      message: `pods "p" is forbidden: pod rejected: ${reason}`,
    })
  })
})
