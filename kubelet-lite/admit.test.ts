import { describe, expect, it } from 'vitest'
import type { Node, Pod } from '../orchestrator/api/types.ts'
import { admit } from './admit.ts'

const node = { status: { allocatable: { cpu: '2', memory: '1Gi', pods: '2' } } } as unknown as Node
const aPod = (spec: object, container: object = {}): Pod =>
  ({ metadata: { name: 'p' }, spec: { containers: [{ name: 'main', ...container }], ...spec } }) as Pod
const refusal = (pod: Pod, selinux: boolean) => admit(pod, { node, others: [], selinux })?.message

describe('admit: SELinux labels', () => {
  const securityContext = { seLinuxOptions: { level: 's0' } }
  it('are refused by name where the kernel would ask for them', () => {
    expect(refusal(aPod({ securityContext }), true)).toBe(
      'Pod was rejected: spec.securityContext.seLinuxOptions is not supported by this node',
    )
    expect(refusal(aPod({}, { securityContext }), true)).toContain('spec.containers[main].securityContext.seLinuxOp')
    expect(refusal(aPod({}), true)).toBeUndefined()
  })
  it('say nothing on a node without SELinux', () => {
    expect(refusal(aPod({ securityContext }, { securityContext }), false)).toBeUndefined()
  })
})
