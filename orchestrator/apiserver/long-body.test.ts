import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anApi } from '../../test/fixtures/api.ts'
import type { ConfigMap } from '../api/types.ts'

const maps = '/api/v1/namespaces/default/configmaps'

/** The head of a list's answer; nobody reads what comes after it. */
const asked = (port: number) =>
  new Promise<IncomingMessage>((resolve, reject) => {
    const where = { host: '127.0.0.1', port, path: maps, rejectUnauthorized: false }
    request({ ...where, agent: false }, resolve)
      .once('error', reject)
      .end()
  })

describe('answers too long for one piece', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  const data = { a: 'ü€😀'.repeat(60_000) }

  beforeAll(async () => {
    api = await anApi()
    for (let at = 0; at < 12; at++) {
      const body = { metadata: { name: `long-${at}` }, data }
      expect((await api.call('POST', maps, { body })).status).toBe(201)
    }
  })
  afterAll(() => api.close())

  it('a list comes whole, and of the length that it says', async () => {
    const { headers, body, raw } = await api.call('GET', maps)
    expect(headers['content-length']).toBe(String(raw.length))
    const long = (body.items as ConfigMap[]).filter(({ metadata }) => metadata?.name?.startsWith('long-'))
    expect(long.map((map) => map.data)).toEqual(Array.from({ length: 12 }, () => data))
  })

  it.each(['application/json', 'application/yaml', 'application/vnd.kubernetes.protobuf'])(
    'packed, it is the same: %s',
    async (accept) => {
      const { raw } = await api.call('GET', maps, { headers: { accept } })
      const packed = await api.call('GET', maps, { headers: { accept, 'accept-encoding': 'gzip' } })
      expect(packed.headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'Accept-Encoding' })
      expect(packed.raw.length).toBeLessThan(raw.length / 2)
      expect(gunzipSync(packed.raw).equals(raw)).toBe(true)
    },
  )

  it('who leaves in the middle, or does not read, holds nobody up', async () => {
    const idle = await Promise.all(Array.from({ length: 10 }, () => asked(api.port)))
    for (const response of idle.slice(5)) response.destroy()
    expect((await api.call('GET', maps)).body.items).toHaveLength(12)
    for (const response of idle) response.destroy()
  })
})
