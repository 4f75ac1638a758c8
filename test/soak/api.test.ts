import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { resources } from '../../orchestrator/api/resources.ts'
import { type ApiServer, startServer } from '../../orchestrator/apiserver/server.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { abuse, type Victim } from '../fixtures/http-abuse.ts'
import type { Watch } from './watchers.ts'

const share = Number(process.env.CORACLE_SOAK ?? '1')
const dataDir = mkdtempSync(join(tmpdir(), 'coracle-soak-api-'))
let server: ApiServer
let victim: Victim

beforeAll(async () => {
  const listen = { host: '127.0.0.1', port: 0 }
  server = await startServer({ dataDir, listen, log: silentLog, clock: systemClock })
  const admin = await server.pki.issueClient({ commonName: 'admin', organizations: ['system:masters'] })
  victim = { port: server.port, cert: admin.certificatePem, key: admin.privateKeyPem }
})
afterAll(async () => {
  await server.close()
  rmSync(dataDir, { recursive: true })
})

const requests = Math.round(100_000 * share)
setFlagsFromString('--expose_gc')
const collect = runInNewContext('gc') as () => void

/** What is held, not what the collector has not come to yet. */
function heldMegabytes(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}

it(`api: ${requests} requests that nobody should send: no 5xx but 503, and memory stays flat`, async () => {
  const rounds = 10
  const used: number[] = []
  const codes = new Map<number, number>()
  for (let round = 0; round < rounds; round++) {
    const result = await abuse(victim, Math.round(requests / rounds), { seed: round, width: 32 })
    expect(result.wrong).toEqual([])
    for (const [code, count] of result.codes) codes.set(code, (codes.get(code) ?? 0) + count)
    used.push(Math.round(heldMegabytes()))
  }
  console.info('answers by code', Object.fromEntries(codes), 'MB held after each tenth', used.join(' '))
  // What was made stays stored, and this process is its own client.
  expect(used.at(-1) ?? 0).toBeLessThan((used[1] ?? 0) + 100)
})

const watches = Math.round(10_000 * share)

it(`api: ${watches} idle watches, and one event reaches all`, async () => {
  const watchers = fork(join(import.meta.dirname, 'watchers.ts'))
  const said = (word: string) =>
    new Promise<void>((resolve, reject) => {
      watchers.on('message', (message) => message === word && resolve())
      watchers.once('exit', (code) => reject(new Error(`the watchers ended with ${code} before they said "${word}"`)))
    })
  const before = process.memoryUsage().rss / 2 ** 20
  const path = '/api/v1/namespaces/default/configmaps?watch=1&resourceVersion=0&fieldSelector=metadata.name=told'
  const [open, told] = [said('open'), said('told')]
  told.catch(() => {})
  watchers.send({ victim, path, count: watches } satisfies Watch)
  await open
  const each = ((process.memoryUsage().rss / 2 ** 20 - before) * 1024) / watches
  const start = performance.now()
  await server.client.create(resources.configMaps, { metadata: { namespace: 'default', name: 'told' } })
  await told
  console.info(
    `${watches} watches: ${each.toFixed(1)} kB each; all told in ${Math.round(performance.now() - start)} ms`,
  )
  expect(each).toBeLessThan(150)
  const ended = new Promise((resolve) => watchers.once('exit', resolve))
  watchers.kill()
  await ended
})
