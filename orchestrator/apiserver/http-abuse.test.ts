import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { abuse } from '../../test/fixtures/http-abuse.ts'
import { resources } from '../api/resources.ts'
import { type ApiServer, startServer } from './server.ts'

describe('abuse over HTTP', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'coracle-abuse-'))
  let server: ApiServer
  beforeAll(async () => {
    const listen = { host: '127.0.0.1', port: 0 }
    server = await startServer({ dataDir, listen, log: silentLog, clock: systemClock })
  })
  afterAll(async () => {
    await server.close()
    rmSync(dataDir, { recursive: true })
  })

  it('2000 requests, broken in meaning or in bytes: no 5xx but 503, and the server lives', {
    timeout: 120_000,
  }, async () => {
    const admin = await server.pki.issueClient({ commonName: 'admin', organizations: ['system:masters'] })
    const victim = { port: server.port, cert: admin.certificatePem, key: admin.privateKeyPem }
    const { codes, wrong } = await abuse(victim, 2000, { seed: 1, width: 16 })
    expect(wrong).toEqual([])
    // Not all is refused: otherwise nothing of the server was reached.
    expect([...codes.keys()]).toEqual(expect.arrayContaining([200, 400, 404, 405, 422]))
    expect((await server.client.list(resources.namespaces)).items.length).toBeGreaterThan(3)
  })
})
