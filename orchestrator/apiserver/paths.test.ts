import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anApi } from '../../test/fixtures/api.ts'
import { builtInKinds, KindTable } from '../api/kinds/table.ts'
import { answerPath } from './paths.ts'

const kinds = new KindTable(builtInKinds)

describe('answerPath', () => {
  const broken = () => {
    throw new Error('no')
  }
  const ask = (path: string, query = '') =>
    answerPath(path, {
      kinds,
      checks: { ping: () => {}, store: broken },
      accept: undefined,
      ifNoneMatch: undefined,
      query: new URLSearchParams(query),
    })

  it.each(['livez', 'readyz', 'healthz'])('/%s: every check, one of them, and all but some', (root) => {
    const failed = `[+]ping ok\n[-]store failed: reason withheld\n${root} check failed\n`
    expect(ask(`/${root}`)).toMatchObject({ status: 500, body: failed })
    expect(ask(`/${root}/ping`)).toMatchObject({ status: 200, body: 'ok' })
    expect(ask(`/${root}/store`)?.status).toBe(500)
    expect(ask(`/${root}/other`)).toBeUndefined()
    expect(ask(`/${root}`, 'exclude=store')).toMatchObject({ status: 200, body: 'ok' })
    expect(ask(`/${root}`, 'exclude=store&exclude=x&verbose')?.body).toBe(
      `[+]ping ok\n[+]store excluded: ok\nwarn: some health checks cannot be excluded: no matches for "x"\n${root} check passed\n`,
    )
  })
})

describe('/version', () => {
  it('which release it is, which it behaves as, and the oldest that it gets on with', () => {
    const { body } = answerPath('/version', {
      kinds,
      checks: {},
      accept: undefined,
      ifNoneMatch: undefined,
      query: new URLSearchParams(),
    }) as { body: string }
    expect(JSON.parse(body)).toMatchObject({
      major: '1',
      minor: '36',
      emulationMajor: '1',
      emulationMinor: '36',
      minCompatibilityMajor: '1',
      minCompatibilityMinor: '35',
    })
  })
})

describe('discovery', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  beforeAll(async () => {
    api = await anApi()
  })
  afterAll(() => api.close())

  const aggregated = (version: string) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`

  it.each(['/api', '/apis'])('%s: each form has a tag of its own, and 304 for who has it', async (path) => {
    const tags = new Set<unknown>()
    for (const accept of ['application/json', aggregated('v2'), aggregated('v2beta1')]) {
      const { headers, status } = await api.call('GET', path, { headers: { accept } })
      expect(status).toBe(200)
      const again = { accept, 'if-none-match': String(headers.etag) }
      expect(await api.call('GET', path, { headers: again })).toMatchObject({ status: 304, body: '' })
      tags.add(headers.etag)
    }
    expect(tags.size).toBe(3)
  })

  it('the preferred version of a group: stable before beta, autoscaling v2 before v1', async () => {
    const { body } = await api.call('GET', '/apis')
    interface Group {
      name: string
      versions: { version: string }[]
      preferredVersion: { version: string }
    }
    const versions = Object.fromEntries(
      (body.groups as Group[]).map(({ name, versions, preferredVersion }) => {
        expect(preferredVersion).toEqual(versions[0])
        return [name, versions.map(({ version }) => version)]
      }),
    )
    expect(versions).toMatchObject({
      autoscaling: ['v2', 'v1', 'v2beta2'],
      batch: ['v1', 'v1beta1'],
      'discovery.k8s.io': ['v1', 'v1beta1'],
      'networking.k8s.io': ['v1', 'v1beta1'],
      policy: ['v1', 'v1beta1'],
    })
  })

  it('what the old form tells of a resource, the aggregated one tells too', async () => {
    const { body } = await api.call('GET', '/apis', { headers: { accept: aggregated('v2') } })
    for (const { metadata, versions } of body.items) {
      for (const { version, resources } of versions) {
        const old = (await api.call('GET', `/apis/${metadata.name}/${version}`)).body.resources as { name: string }[]
        const names = resources.flatMap(({ resource, subresources = [] }: Resource) => [
          resource,
          ...subresources.map(({ subresource }) => `${resource}/${subresource}`),
        ])
        expect(names.sort()).toEqual(old.map(({ name }) => name).sort())
      }
    }
  })

  it('OpenAPI v3: a document for every group and version, found under its hash', async () => {
    const { body } = await api.call('GET', '/openapi/v3')
    const served = new Set(
      kinds.all().map(({ group, version }) => (group ? `apis/${group}/${version}` : `api/${version}`)),
    )
    expect(Object.keys(body.paths).sort()).toEqual([...served].sort())
    for (const { serverRelativeURL } of Object.values(body.paths) as { serverRelativeURL: string }[]) {
      const { status, headers } = await api.call('GET', serverRelativeURL)
      expect([status, String(headers.etag)]).toEqual([200, `"${serverRelativeURL.split('hash=')[1]}"`])
    }
  })
})

interface Resource {
  resource: string
  subresources?: { subresource: string }[]
}
