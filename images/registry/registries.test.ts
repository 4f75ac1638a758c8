import { describe, expect, it } from 'vitest'
import { endpointsOf } from './endpoints.ts'
import { parseRegistries } from './registries.ts'

describe('parseRegistries', () => {
  it.each([
    ['mirror: {}', 'has a field mirror, but only mirrors, configs are known'],
    ['mirrors: []', 'mirrors: it is no map'],
    ['mirrors: { a.test: { endpoint: x } }', 'mirrors.a.test.endpoint: it is no list'],
    ['mirrors: { a.test: { endpoint: ["ftp://x"] } }', 'endpoint[0]: it "ftp://x" is no http(s) address'],
    ['mirrors: { a.test: { endpoint: ["https://u:p@x"] } }', 'has a user'],
    ['mirrors: { a.test: { endpoint: ["https://x/path"] } }', 'use rewrite'],
    ['mirrors: { a.test: { rewrite: { "(": x } } }', 'no regular expression'],
    ['configs: { a.test: { tls: { cert_file: /x } } }', 'needs both'],
    ['configs: { a.test: { tls: { ca_file: /none/such } } }', 'configs.a.test.tls.ca_file'],
    ['configs: { a.test: { auth: {} } }', 'names no user'],
    ['configs: { a.test: { proxy: "socks://x" } }', 'no http(s) address'],
    ['a: [', 'registries.yaml'],
  ])('%s: is refused by name', async (text, reason) => {
    await expect(parseRegistries(text, 'registries.yaml')).rejects.toMatchObject({
      code: 'IMAGE_CONFIG',
      message: expect.stringContaining(reason),
    })
  })

  it('mirrors in their order, the registry last; * for all others', async () => {
    const text = 'mirrors: { docker.io: { endpoint: [m.test, "http://n.test:5"] }, "*": { endpoint: [all.test] } }'
    const o = { registries: await parseRegistries(text, 'f'), insecureRegistries: [] }
    const hosts = (domain: string) =>
      endpointsOf({ domain, path: 'a' }, o).map(({ host, schemes }) => [host, ...schemes])
    expect(hosts('docker.io')).toEqual([
      ['m.test', 'https'],
      ['n.test:5', 'http'],
      ['registry-1.docker.io', 'https'],
    ])
    expect(hosts('other.test')).toEqual([
      ['all.test', 'https'],
      ['other.test', 'https'],
    ])
  })
})
