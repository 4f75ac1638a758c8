import { describe, expect, it } from 'vitest'
import type { Container, Pod } from '../orchestrator/api/types.ts'
import { type ConfigReader, environment, expand } from './environment.ts'

const reader: ConfigReader = {
  configMap: async (_namespace, name) => (name === 'settings' ? { data: { colour: 'red', size: 'L' } } : undefined),
  secret: async (_namespace, name) =>
    name === 'keys' ? { data: { token: Buffer.from('s3cret').toString('base64') } } : undefined,
}
const pod: Pod = { metadata: { name: 'p', namespace: 'n', uid: 'u', labels: { app: 'web' } }, spec: { containers: [] } }
const node = { name: 'node-1', ip: '192.0.2.1', cpus: 4, memoryBytes: 8 * 1024 ** 3 }
const variables = async (change: Partial<Container>) => {
  const container = { name: 'web', ...change } as Container
  const all = await environment({ pod, container, reader, services: () => [], node, podIPs: ['10.0.0.9'] })
  return Object.fromEntries(all.map(({ name, value }) => [name, value]))
}
const fails = async (change: Partial<Container>) => {
  const error = await variables(change).catch((thrown: unknown) => thrown as { code: string; message: string })
  return error as { code: string; message: string }
}

describe('environment', () => {
  it('literals: later ones see earlier ones', async () => {
    const env = [
      { name: 'A', value: 'one' },
      { name: 'B', value: '$(A)-two' },
      { name: 'C', value: '$(D) $$(A)' },
      { name: 'D', value: 'late' },
    ]
    expect(await variables({ env })).toEqual({ A: 'one', B: 'one-two', C: '$(D) $(A)', D: 'late' })
  })
  it('ConfigMap and Secret: whole with a prefix, and by key', async () => {
    const found = await variables({
      envFrom: [{ prefix: 'S_', configMapRef: { name: 'settings' } }],
      env: [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'keys', key: 'token' } } }],
    })
    expect(found).toEqual({ S_colour: 'red', S_size: 'L', TOKEN: 's3cret' })
  })
  it('fields and resources of the pod itself', async () => {
    const from = (fieldPath: string) => ({ fieldRef: { fieldPath } })
    const found = await variables({
      resources: { limits: { memory: '64Mi' } },
      env: [
        { name: 'NAME', valueFrom: from('metadata.name') },
        { name: 'APP', valueFrom: from("metadata.labels['app']") },
        { name: 'IP', valueFrom: from('status.podIP') },
        { name: 'NODE', valueFrom: from('spec.nodeName') },
        { name: 'MEMORY', valueFrom: { resourceFieldRef: { resource: 'limits.memory', divisor: '1Mi' } } },
        { name: 'CPU', valueFrom: { resourceFieldRef: { resource: 'limits.cpu' } } },
      ],
    })
    expect(found).toEqual({ NAME: 'p', APP: 'web', IP: '10.0.0.9', NODE: 'node-1', MEMORY: '64', CPU: '4' })
  })
  it('missing: CreateContainerConfigError with the name, unless it is optional', async () => {
    const ref = (more: object) => [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'none', key: 'k', ...more } } }]
    expect(await fails({ env: ref({}) })).toMatchObject({
      code: 'CreateContainerConfigError',
      message: 'configmap "none" not found',
    })
    expect(await variables({ env: ref({ optional: true }) })).toEqual({})
    const key = [{ name: 'X', valueFrom: { configMapKeyRef: { name: 'settings', key: 'none' } } }]
    expect((await fails({ env: key })).message).toBe("couldn't find key none in ConfigMap n/settings")
    expect((await fails({ envFrom: [{ secretRef: { name: 'none' } }] })).message).toBe('secret "none" not found')
  })
})

describe('expand', () => {
  it.each([
    ['$(A)', '1'],
    ['$$(A)', '$(A)'],
    ['$(B)', '$(B)'],
    ['$(A', '$(A'],
    ['a$', 'a$'],
    ['$$$(A)', '$1'],
  ])('%s becomes %s', (text, expected) => {
    expect(expand(text, new Map([['A', '1']]))).toBe(expected)
  })
})
