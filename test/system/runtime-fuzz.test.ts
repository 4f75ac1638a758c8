import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { patient } from './patience.ts'
import { aFixture, type Fixture, traces } from './runtime-fixture.ts'
import { fuzz, fuzzProcess, refusedDocuments } from './runtime-fuzz/fuzz.ts'
import { ours } from './runtime-must/engines.ts'

describe.skipIf(process.getuid?.() !== 0)('config.json, mutated (needs root)', () => {
  let on: Fixture
  beforeAll(async () => {
    on = await aFixture('fuzz')
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    expect(traces(on.mark)).toEqual([])
    expect(traces(`test-fuzz-${process.pid}`)).toEqual([])
  })

  it(
    '600 bundles: each is born whole, or refused in words that say where, and nothing is left',
    async () => {
      const counts = await fuzz(on, { runs: 600, playEvery: 4 })
      expect(counts.refused).toBeGreaterThan(100)
      expect(counts.accepted).toBeGreaterThan(50)
      expect(counts.played).toBeGreaterThan(10)
      expect(counts.born).toBeGreaterThan(5)
    },
    patient(60_000),
  )

  it(
    'by the command line: exit code 1, one line that names the field, and no container',
    () => {
      const engine = ours(on)
      for (const { text, fields } of refusedDocuments(on, 8)) {
        const bundle = engine.bundle(on.spec(['/bin/true']))
        writeFileSync(join(bundle, 'config.json'), text)
        const { status, stdout, stderr } = engine.command('create', '-b', bundle, 'bad')
        expect([...fields, status, stdout]).toEqual([...fields, 1, ''])
        expect(stderr, fields.join()).toMatch(/config\.json [\w.[\]]+( \S+)?: /)
        expect(engine.command('state', 'bad').status).toBe(1)
      }
    },
    patient(60_000),
  )

  it('1,000 processes for exec: each is taken, or refused in words that say where', () => {
    const counts = fuzzProcess(on, 1000)
    expect(Math.min(counts.accepted, counts.refused)).toBeGreaterThan(100)
  })
})
