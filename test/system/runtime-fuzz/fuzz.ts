import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect } from 'vitest'
import { CoracleError } from '../../../runtime/base/errors.ts'
import { recordExec } from '../../../runtime/birth/exec.ts'
import { recordBirth } from '../../../runtime/birth/order.ts'
import type { OciSpec } from '../../../runtime/index.ts'
import { parseSpec } from '../../../runtime/spec/exact-json.ts'
import { validateProcess, validateSpec } from '../../../runtime/spec/validate.ts'
import { fillSpec } from '../../fixtures/full-spec.ts'
import { mutate, mutations } from '../../fixtures/mutated-spec.ts'
import type { Fixture } from '../runtime-fixture.ts'

/** Codes with which a configuration may be refused, before and while it is played. */
const codes =
  /^(SPEC_INVALID|SPEC_UNSUPPORTED|BIRTH_REFUSED|INVALID_ID|CGROUP_FAILED|CGROUP_UNSUPPORTED|TAPE_STEP_FAILED|EXEC_FAILED|HOOK_FAILED|COPY_UP_FAILED|AGENT_FAILED|PLAY_FAILED|ID_MAP_REFUSED|TAPE_INVALID)$/

export interface FuzzCounts {
  accepted: number
  refused: number
  played: number
  born: number
}

/**
 * Mutates a config.json in which every field is set. Each must be taken, or refused by an error of ours that names the field
 * or the step; of those that are taken some are played: born whole, or not at all and nothing is left.
 */
export async function fuzz(
  on: Fixture,
  options: { runs: number; playEvery: number; seed?: number },
): Promise<FuzzCounts> {
  const counts: FuzzCounts = { accepted: 0, refused: 0, played: 0, born: 0 }
  const base = on.spec(['/bin/true'], fillSpec)
  const group = base.linux?.cgroupsPath ?? ''
  const check = async (changes: Parameters<typeof mutate>[1]) => {
    const { text, fields } = mutate(base, changes)
    const spec = take(text, fields)
    if (spec === undefined) counts.refused++
    else if (++counts.accepted % options.playEvery === 0 && isHarmless(spec, base)) {
      counts.played++
      if (await isBornWholeOrNotAtAll(on, spec, fields)) counts.born++
    }
    expect(left(on, group), fields.join(', ')).toEqual([])
  }
  const seed = options.seed === undefined ? {} : { seed: options.seed }
  await fc.assert(fc.asyncProperty(mutations(2), check), { numRuns: options.runs, endOnFailure: true, ...seed })
  return counts
}

/** Some documents that are refused, as text, with what has been done to them. */
export function refusedDocuments(on: Fixture, count: number): { text: string; fields: string[] }[] {
  const base = on.spec(['/bin/true'], fillSpec)
  const documents = fc.sample(mutations(1), 50 * count).map((changes) => mutate(base, changes))
  return documents.filter(({ text, fields }) => take(text, fields) === undefined).slice(0, count)
}

/** The same for a process that is added to a container: what `exec --process` reads. */
export function fuzzProcess(on: Fixture, runs: number): { accepted: number; refused: number } {
  const counts = { accepted: 0, refused: 0 }
  const base = on.spec(['/bin/true'], fillSpec)
  const check = (changes: Parameters<typeof mutate>[1]) => {
    const { text, fields } = mutate({ process: base.process } as OciSpec, changes)
    try {
      const process = validateProcess((JSON.parse(text) as { process?: unknown }).process)
      recordExec({ spec: base, process, cgroup: { join: [] }, stdio: 'pipes' }).tape.encode()
      counts.accepted++
    } catch (error) {
      expectClear(error, fields)
      counts.refused++
    }
  }
  fc.assert(fc.property(mutations(2), check), { numRuns: runs, endOnFailure: true })
  return counts
}

/** The spec, if it is taken. Throws when it is refused by anything but an error of ours that says where. */
function take(text: string, fields: readonly string[]): OciSpec | undefined {
  try {
    const spec = validateSpec(parseSpec(text))
    const root = { path: spec.root?.path ?? '/none' }
    recordBirth({
      spec,
      root,
      bundle: '/none',
      cgroup: { join: [], views: [] },
      emptyFolder: '/none',
      stdio: 'pipes',
    }).tape.encode()
    return spec
  } catch (error) {
    expectClear(error, fields)
    return undefined
  }
}

function expectClear(error: unknown, fields: readonly string[]): void {
  const about = fields.join(', ')
  expect(error, `${about}: ${(error as Error).stack}`).toBeInstanceOf(CoracleError)
  const { code, facts, message } = error as CoracleError
  expect(code, about).toMatch(codes)
  expect(message.length, about).toBeLessThan(10_000)
  if (code.startsWith('SPEC_')) expect(facts.field, about).toEqual(expect.stringMatching(/\w/))
  if (code === 'TAPE_STEP_FAILED') expect(message, about).toMatch(/failed: E\w+ \(step \d+ of \d+\)/)
}

/** Nothing that would be made outside of the test's own folders, however the runtime understood it. */
function isHarmless(spec: OciSpec, base: OciSpec): boolean {
  const sameRoot = spec.root?.path === base.root?.path
  const sameGroup = spec.linux?.cgroupsPath === base.linux?.cgroupsPath
  const hooks = Object.values(spec.hooks ?? {}).flat()
  const namespaces = spec.linux?.namespaces ?? []
  const ownNetwork = namespaces.some(({ type, path }) => type === 'network' && path === undefined)
  return (
    sameRoot && sameGroup && ownNetwork && hooks.every((hook) => hook?.path === '/bin/true' && (hook.timeout ?? 9) < 10)
  )
}

async function isBornWholeOrNotAtAll(on: Fixture, spec: OciSpec, fields: readonly string[]): Promise<boolean> {
  try {
    await on.runtime.create({ id: 'fuzz', spec })
  } catch (error) {
    expectClear(error, fields)
    return false
  }
  expect((await on.runtime.state('fuzz')).status, fields.join(', ')).toBe('created')
  const started = await on.runtime.start('fuzz').then(
    () => true,
    (error: unknown) => {
      expectClear(error, fields)
      return false
    },
  )
  await on.runtime.delete('fuzz', { force: true })
  return started
}

function left(on: Fixture, group: string): string[] {
  const found: string[] = existsSync(on.root) ? readdirSync(on.root).filter((name) => name === 'fuzz') : []
  for (const hierarchy of readdirSync('/sys/fs/cgroup')) {
    const folder = join('/sys/fs/cgroup', hierarchy, group)
    if (existsSync(folder)) found.push(folder)
  }
  return found
}
