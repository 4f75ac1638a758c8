import { expect, it } from 'vitest'
import { aNamespace, aPlainPod } from '../../test/fixtures/namespace.ts'

it('defaultTolerationSeconds: five minutes, unless the pod says for how long', async () => {
  const { makePod, close } = await aNamespace()
  const own = { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 7 }
  const { body } = await makePod(aPlainPod({ tolerations: [own] }))
  expect(body.spec.tolerations).toEqual([
    own,
    { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 },
  ])
  const all = await makePod(aPlainPod({ tolerations: [{ operator: 'Exists' }] }, 'q'))
  expect(all.body.spec.tolerations).toEqual([{ operator: 'Exists' }])
  await close()
})
