import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { aNamespace, aPlainPod } from '../../test/fixtures/namespace.ts'

let api: Awaited<ReturnType<typeof aNamespace>>
beforeEach(async () => {
  api = await aNamespace()
})
afterEach(() => api.close())

const limit = (item: object) => api.make('limitranges', { metadata: { name: 'l' }, spec: { limits: [item] } })
const podOf = (resources: object) => aPlainPod({ containers: [{ name: 'c', image: 'i', resources }] })

describe('limitRanger', () => {
  it('containers get the defaults, and the pod says so', async () => {
    await limit({ type: 'Container', default: { cpu: '2' }, defaultRequest: { cpu: '1', memory: '1Gi' } })
    const { body } = await api.makePod({
      ...podOf({ limits: { memory: '2Gi' } }),
    })
    expect(body.spec.containers[0].resources).toEqual({
      limits: { cpu: '2', memory: '2Gi' },
      requests: { cpu: '1', memory: '2Gi' },
    })
    expect(body.metadata.annotations['kubernetes.io/limit-ranger']).toBe(
      'LimitRanger plugin set: cpu request for container c; cpu limit for container c',
    )
  })

  it.each([
    [
      { min: { cpu: '200m' } },
      { requests: { cpu: '100m' } },
      'minimum cpu usage per Container is 200m, but request is 100m',
    ],
    [{ max: { cpu: '1' } }, { limits: { cpu: '1500m' } }, 'maximum cpu usage per Container is 1, but limit is 1500m'],
    [
      { maxLimitRequestRatio: { cpu: '2' } },
      { requests: { cpu: '100m' }, limits: { cpu: '500m' } },
      'cpu max limit to request ratio per Container is 2, but provided ratio is 5.000000',
    ],
  ])('Container %j refuses %j', async (bounds, resources, reason) => {
    await limit({ type: 'Container', ...bounds })
    expect((await api.makePod(podOf(resources))).body).toMatchObject({
      code: 403,
      message: `pods "p" is forbidden: ${reason}`,
    })
  })

  it('Pod: counts all containers, and names everything that is wrong', async () => {
    await limit({ type: 'Pod', max: { cpu: '1', memory: '1Gi' } })
    const resources = { limits: { cpu: '600m' } }
    const two = aPlainPod({
      containers: [
        { name: 'a', image: 'i', resources },
        { name: 'b', image: 'i', resources },
      ],
    })
    expect((await api.makePod(two)).body.message).toBe(
      'pods "p" is forbidden: [maximum cpu usage per Pod is 1, but limit is 1200m, maximum memory usage per Pod is 1Gi.  No limit is specified]',
    )
  })

  it('PersistentVolumeClaim: within min and max', async () => {
    await limit({ type: 'PersistentVolumeClaim', min: { storage: '1Gi' }, max: { storage: '2Gi' } })
    const claim = (storage: string) => ({
      metadata: { name: 'v' },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage } } },
    })
    const { message } = (await api.make('persistentvolumeclaims', claim('3Gi'))).body
    expect(message).toBe(
      'persistentvolumeclaims "v" is forbidden: maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi',
    )
    expect((await api.make('persistentvolumeclaims', claim('1Gi'))).status).toBe(201)
  })
})
