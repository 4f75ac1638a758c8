import { describe, expect, it } from 'vitest'
import type { Pod, Secret } from '../orchestrator/api/types.ts'
import { CoracleError } from '../runtime/base/errors.ts'
import { ensureImage } from './image-pull.ts'
import { findCredentials } from './pull-secrets.ts'

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64')
const entry = (user: string) => ({ auth: Buffer.from(`${user}:secret`).toString('base64') })
const secrets: Record<string, Record<string, string>> = {
  current: { '.dockerconfigjson': encode({ auths: { 'reg.test': entry('first'), 'reg.test/team': entry('team') } }) },
  older: { '.dockercfg': encode({ 'https://*.test/v2/': entry('older') }) },
  broken: { '.dockerconfigjson': 'bm8ganNvbg==' },
}
const reader = { secret: async (_: string, name: string) => ({ data: secrets[name] }) as Secret } as Parameters<
  typeof findCredentials
>[0]
const aPod = (...names: string[]): Pod => ({
  metadata: { name: 'p', namespace: 'n' },
  spec: { containers: [], imagePullSecrets: names.map((name) => ({ name })) },
})
const users = async (image: string, ...names: string[]) =>
  (await findCredentials(reader, aPod(...names), image)).map(({ username }) => username)

describe('findCredentials', () => {
  it('both kinds of secrets, the longest key first, in the order of the pod', async () => {
    expect(await users('reg.test/team/app:1', 'older', 'missing', 'broken', 'current')).toEqual([
      'older',
      'team',
      'first',
    ])
    expect(await users('reg.test/other/app', 'current')).toEqual(['first'])
    expect(await users('reg.test:5000/team/app', 'current')).toEqual([])
    expect(await users('app', 'older', 'current')).toEqual([])
  })
})

describe('ensureImage', () => {
  it('a user that the registry refuses: the next one is tried', async () => {
    const tried: (string | undefined)[] = []
    const images = {
      imageStatus: async () => undefined,
      listImages: async () => [],
      pullImage: async (_: string, { auth }: { auth?: { username: string } }) => {
        tried.push(auth?.username)
        if (auth?.username !== 'first') {
          throw new CoracleError('refused', { code: 'IMAGE_UNAUTHORIZED' })
        }
        return { id: 'i', references: [], digest: 'd', sizeBytes: 1 }
      },
    }
    const at = { images, reader, events: { record() {} } } as unknown as Parameters<typeof ensureImage>[0]
    const container = { name: 'c', image: 'reg.test/team/app:1', imagePullPolicy: 'Always' }
    const signal = new AbortController().signal
    await ensureImage(at, aPod('current'), { container, signal })
    expect(tried).toEqual(['team', 'first'])
    await expect(ensureImage(at, aPod(), { container, signal })).rejects.toMatchObject({ code: 'ErrImagePull' })
    expect(tried.slice(2)).toEqual([undefined])
  })
})
