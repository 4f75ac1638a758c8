import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aFixture, type Fixture, traces } from './runtime-fixture.ts'
import { fuzz } from './runtime-fuzz/fuzz.ts'

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

  it('600 bundles: each is born whole, or refused in words that say where, and nothing is left', async () => {
    const counts = await fuzz(on, { runs: 600, playEvery: 4 })
    expect(counts.refused).toBeGreaterThan(100)
    expect(counts.accepted).toBeGreaterThan(50)
    expect(counts.played).toBeGreaterThan(10)
    expect(counts.born).toBeGreaterThan(5)
  }, 60_000)
})
