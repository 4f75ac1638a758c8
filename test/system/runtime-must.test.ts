/*
 * runtime-spec 1.3.0, sentence by sentence, against our runtime and against Debian's runc: the same bundles, the same probe
 * inside. `runcDiffers` in the tables says where runc 1.1 does otherwise, and why.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasCompiler, parseAnswers } from '../fixtures/probe/build.ts'
import { type Fixture, traces } from './runtime-fixture.ts'
import { aPlace, type Engine, hasRunc, ours, removeGroups, runc } from './runtime-must/engines.ts'
import { linuxMusts } from './runtime-must/linux.ts'
import { mountMusts } from './runtime-must/mounts.ts'
import type { Expected, FullSpec, Must } from './runtime-must/must.ts'
import { newerMusts } from './runtime-must/newer.ts'
import { processMusts } from './runtime-must/process.ts'
import { refusalMusts } from './runtime-must/refusals.ts'

const musts = [...processMusts, ...mountMusts, ...linuxMusts, ...newerMusts, ...refusalMusts]

const named = (must: Must): [string, Must] => {
  const differs = must.runcDiffers === undefined ? '' : ` (runc differs: ${must.runcDiffers})`
  return [`${must.section}: ${must.words}${differs}`, must]
}

async function hold(on: Fixture, engine: Engine, must: Must): Promise<void> {
  const spec = on.spec(['/bin/probe', ...(must.ask ?? ['see', '.'])]) as FullSpec
  // An absolute path means the same to both.
  Object.assign(spec.linux, { cgroupsPath: `/${spec.linux.cgroupsPath}` })
  Object.assign(spec.root, { readonly: false })
  must.change?.(spec)
  const { output, exitCode, error } = await engine.run(spec)
  if (must.refused) {
    expect(error).not.toBe('')
    if (engine.name === 'ours') expect(error).toMatch(must.refused)
    return
  }
  expect(error).toBe('')
  expect(exitCode).toBe(must.exitCode ?? 0)
  const expected: readonly Expected[] = must.expect ?? []
  const answers = expected.length > 0 ? parseAnswers(output) : []
  expected.forEach((one, at) => {
    const answer = answers[at] ?? {}
    if (typeof one === 'function') one(answer)
    else expect(answer).toMatchObject(one)
  })
}

describe.skipIf(process.getuid?.() !== 0 || !hasCompiler)('runtime-spec (needs root and gcc)', () => {
  let on: Fixture
  let group: string
  beforeAll(async () => {
    on = await aPlace('must')
    group = `test-must-${process.pid}`
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    removeGroups(group)
    expect(traces(on.mark)).toEqual([])
    expect(traces(group)).toEqual([])
  })

  describe('ours', () => {
    it.each(musts.map(named))('%s', (_, must) => hold(on, ours(on), must))
  })

  describe.skipIf(!hasRunc)('runc of the distribution', () => {
    const alike = musts.filter(({ runcDiffers }) => runcDiffers === undefined)
    const different = musts.filter(({ runcDiffers }) => runcDiffers !== undefined)
    it.each(alike.map(named))('%s', (_, must) => hold(on, runc(on), must))
    it.each(different.map(named))('%s', async (_, must) => {
      await expect(hold(on, runc(on), must)).rejects.toThrow()
    })
  })
})
