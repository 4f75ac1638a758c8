import { describe, expect, it } from 'vitest'
import type { Pod } from '../orchestrator/api/types.ts'
import { CoracleError } from '../runtime/base/errors.ts'
import { ensureImage } from './image-pull.ts'

const pod: Pod = { metadata: { name: 'p', namespace: 'n' }, spec: { containers: [] } }
const { signal } = new AbortController()
const pulled = { id: 'i', references: [], digest: 'd', sizeBytes: 5 }

/** What is asked of the images, and the events, when a container with this policy begins. */
async function begin(policy: string, o: { isPresent: boolean; fails?: CoracleError }) {
  const done: string[] = []
  const images = {
    imageStatus: async (image: string) => {
      if (image.includes(' ')) throw new CoracleError('no name', { code: 'IMAGE_REFERENCE_INVALID' })
      return o.isPresent ? pulled : undefined
    },
    listImages: async () => [],
    pullImage: async () => {
      done.push('pull')
      if (o.fails) throw o.fails
      return pulled
    },
  }
  const events = { record: (_: Pod, { reason }: { reason: string }) => done.push(reason) }
  const at = { images, events, reader: {} } as unknown as Parameters<typeof ensureImage>[0]
  const container = { name: 'c', image: policy === 'bad name' ? 'a b' : 'reg.test/app:1', imagePullPolicy: policy }
  const failure = await ensureImage(at, pod, { container, signal }).then(
    () => undefined,
    (error: unknown) => error as CoracleError,
  )
  return { done, code: failure?.code, message: failure?.message }
}

describe('ensureImage: imagePullPolicy', () => {
  it.each([
    ['IfNotPresent', true, ['Pulled']],
    ['IfNotPresent', false, ['Pulling', 'pull', 'Pulled']],
    ['Always', true, ['Pulling', 'pull', 'Pulled']],
    ['Always', false, ['Pulling', 'pull', 'Pulled']],
    ['Never', true, ['Pulled']],
  ])('%s, image on the node: %s', async (policy, isPresent, done) => {
    expect(await begin(policy, { isPresent })).toEqual({ done, code: undefined, message: undefined })
  })

  it('Never, and the image is not there: ErrImageNeverPull, and no registry is asked', async () => {
    expect(await begin('Never', { isPresent: false })).toMatchObject({ done: [], code: 'ErrImageNeverPull' })
  })

  it('a name that is none: InvalidImageName', async () => {
    expect(await begin('bad name', { isPresent: false })).toMatchObject({ done: [], code: 'InvalidImageName' })
  })

  it('a pull that fails: ErrImagePull with the cause and what may help', async () => {
    const fails = new CoracleError('fetch x: 429', { code: 'IMAGE_REGISTRY', hint: 'log in' })
    const { code, message } = await begin('Always', { isPresent: true, fails })
    expect(code).toBe('ErrImagePull')
    expect(message).toMatch(/reg\.test\/app:1.*log in.*fetch x: 429/)
  })
})
