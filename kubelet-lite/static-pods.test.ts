import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseManifest, readStaticPods } from './static-pods.ts'

const manifest = (spec: string, name = 'web') =>
  `apiVersion: v1\nkind: Pod\nmetadata: { name: ${name} }\nspec: ${spec}\n`
const good = '{ containers: [{ name: main, image: "x:1" }] }'

describe('parseManifest', () => {
  it('a pod: named after the node, with a UID of its text and the defaults of the API', () => {
    const [pod] = parseManifest(manifest(good), 'node-1')
    expect(pod?.metadata).toMatchObject({ name: 'web-node-1', namespace: 'default' })
    expect(pod?.spec).toMatchObject({ nodeName: 'node-1', restartPolicy: 'Always', terminationGracePeriodSeconds: 30 })
    expect(pod?.spec?.containers[0]?.imagePullPolicy).toBe('IfNotPresent')
    expect(parseManifest(manifest(good), 'node-1')[0]?.metadata?.uid).toBe(pod?.metadata?.uid)
    expect(parseManifest(manifest(good, 'other'), 'node-1')[0]?.metadata?.uid).not.toBe(pod?.metadata?.uid)
  })
  it('several pods in a file are several pods', () => {
    const pods = parseManifest(`${manifest(good)}---\n${manifest(good)}`, 'node-1')
    expect(new Set(pods.map((pod) => pod.metadata?.uid)).size).toBe(2)
  })
  it.each([
    ['kind: Service\napiVersion: v1\n', /only a Pod of v1/],
    [
      manifest('{ containers: [{ name: main, image: "x:1", colour: red }] }'),
      /unknown field "spec\.containers\[0\]\.colour"/,
    ],
    [manifest('{ containers: [] }'), /spec\.containers: Required value/],
    [manifest('{ containers: [{ name: Main, image: x }] }'), /spec\.containers\[0\]\.name: Invalid value/],
    [
      manifest('{ serviceAccountName: me, containers: [{ name: main, image: x }] }'),
      /spec\.serviceAccountName: Forbidden/,
    ],
    ['kind: [', /./],
  ])('refused: %j', (text, problem) => {
    expect(() => parseManifest(text, 'node-1')).toThrow(problem)
  })
})

describe('readStaticPods', () => {
  it('a broken file keeps no other one from being read, and hidden files are none', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'static-pods-'))
    try {
      writeFileSync(join(folder, 'a.yaml'), 'kind: [')
      writeFileSync(join(folder, 'b.yaml'), manifest(good))
      writeFileSync(join(folder, '.b.yaml.swp.yaml'), 'kind: [')
      const { pods, problems } = await readStaticPods(folder, 'node-1')
      expect([...pods.values()].map((pod) => pod.metadata?.name)).toEqual(['web-node-1'])
      expect([...problems.keys()]).toEqual(['a.yaml'])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
