import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aNamespace, aPlainPod } from '../../test/fixtures/namespace.ts'

let api: Awaited<ReturnType<typeof aNamespace>>
beforeEach(async () => {
  api = await aNamespace()
})
afterEach(() => api.close())

const classes = '/apis/scheduling.k8s.io/v1/priorityclasses'

describe('priority', () => {
  it('a pod gets the number and the policy of its class', async () => {
    await api.make(classes, { metadata: { name: 'high' }, value: 7, preemptionPolicy: 'Never' })
    const { body } = await api.makePod(aPlainPod({ priorityClassName: 'high' }))
    expect(body.spec).toMatchObject({ priority: 7, preemptionPolicy: 'Never', priorityClassName: 'high' })
  })

  it('a pod without a class gets the default one, or nothing', async () => {
    expect((await api.makePod(aPlainPod({}, 'before'))).body.spec).toMatchObject({ priority: 0 })
    await api.make(classes, { metadata: { name: 'usual' }, value: 5, globalDefault: true })
    expect((await api.makePod(aPlainPod())).body.spec).toMatchObject({ priority: 5, priorityClassName: 'usual' })
  })

  it('a pod that is replaced keeps them, although its manifest does not name them', async () => {
    const { body: pod } = await api.makePod(aPlainPod({ priorityClassName: 'system-node-critical' }))
    const { priority: _priority, preemptionPolicy: _policy, ...spec } = pod.spec
    const labels = { replaced: 'yes' }
    const { name, namespace } = pod.metadata
    const url = `/api/v1/namespaces/${namespace}/pods/${name}`
    const { body } = await api.call('PUT', url, { body: { metadata: { name, labels }, spec } })
    expect(body).toMatchObject({ metadata: { labels }, spec: { priority: 2_000_001_000 } })
  })

  it('the classes of the system are there', async () => {
    const { body } = await api.makePod(aPlainPod({ priorityClassName: 'system-node-critical' }))
    expect(body.spec.priority).toBe(2_000_001_000)
  })

  it.each([
    [{ priorityClassName: 'none' }, 'pods "p" is forbidden: no PriorityClass with name none was found'],
    [
      { priority: 3 },
      'pods "p" is forbidden: the integer value of priority (3) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name',
    ],
    [
      { preemptionPolicy: 'Never' },
      'pods "p" is forbidden: the string value of PreemptionPolicy (Never) must not be provided in pod spec; priority admission controller computed PreemptLowerPriority from the given PriorityClass name',
    ],
  ])('refuses %j', async (spec, message) => {
    expect((await api.makePod(aPlainPod(spec))).body).toMatchObject({ code: 403, message })
  })

  it('a second default is refused', async () => {
    await api.make(classes, { metadata: { name: 'a' }, value: 5, globalDefault: true })
    const { body } = await api.make(classes, { metadata: { name: 'b' }, value: 6, globalDefault: true })
    expect(body.message).toBe(
      'priorityclasses.scheduling.k8s.io "b" is forbidden: PriorityClass a is already marked as default. Only one default can exist',
    )
  })
})
