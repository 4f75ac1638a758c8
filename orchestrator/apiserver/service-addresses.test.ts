import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anApi } from '../../test/fixtures/api.ts'

const services = '/api/v1/namespaces/default/services'

let api: Awaited<ReturnType<typeof anApi>>
beforeAll(async () => {
  api = await anApi()
})
afterAll(() => api.close())

const aService = (name: string, spec: Record<string, unknown> = {}) => ({
  metadata: { name },
  spec: { ports: [{ port: 80 }], ...spec },
})
const create = (name: string, spec?: Record<string, unknown>) =>
  api.call('POST', services, { body: aService(name, spec) })

describe('ServiceAddresses', () => {
  it('what a refused update asked for is free again', async () => {
    await create('headless', { clusterIP: 'None' })
    const change = { spec: { clusterIP: '10.96.0.50', clusterIPs: ['10.96.0.50'] } }
    const refused = await api.call('PATCH', `${services}/headless`, { body: change })
    expect(refused).toMatchObject({
      status: 422,
      body: { message: expect.stringContaining('may not change once set') },
    })
    expect((await create('fixed', { clusterIP: '10.96.0.50' })).status).toBe(201)
  })

  it('what a deleted service had is free at once', async () => {
    const spec = { clusterIP: '10.96.0.60', type: 'NodePort', ports: [{ port: 80, nodePort: 30_060 }] }
    for (const name of ['first', 'second']) {
      expect((await create(name, spec)).status).toBe(201)
      await api.call('DELETE', `${services}/${name}`)
    }
  })

  it('of many at once, one gets the address that all ask for; those who ask for none get one each', async () => {
    const names = Array.from({ length: 10 }, (_, at) => `s${at}`)
    const asked = await Promise.all(names.map((name) => create(`asks-${name}`, { clusterIP: '10.96.0.70' })))
    expect(asked.map(({ status }) => status).sort()).toEqual([201, ...Array(9).fill(422)])
    const given = await Promise.all(names.map((name) => create(`any-${name}`, { type: 'NodePort' })))
    const specs = given.map(({ body }) => body.spec)
    expect(new Set(specs.map(({ clusterIP }) => clusterIP)).size).toBe(10)
    expect(new Set(specs.map(({ ports }) => ports[0].nodePort)).size).toBe(10)
  })
})
