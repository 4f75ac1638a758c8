/** Runs on a small file system of its own (the folder is the argument); prints what happened there as JSON. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openEmbeddedStore } from '../../../orchestrator/store/embedded/embedded-store.ts'
import { CoracleError } from '../../../runtime/base/errors.ts'

const [folder = ''] = process.argv.slice(2)
const ballast = join(folder, 'ballast')
writeFileSync(ballast, Buffer.alloc(6_000_000))
const store = await openEmbeddedStore(join(folder, 'store.db'))
const acknowledged = new Map<string, number>()

/** Writes until it is refused, or so often. */
async function fill(name: string, times: number): Promise<CoracleError | undefined> {
  for (let at = 0; at < times; at++) {
    try {
      const key = `/${name}/${at}`
      acknowledged.set(key, await store.create(key, key.padEnd(5000, '.')))
    } catch (error) {
      return error as CoracleError
    }
  }
  return undefined
}

const refusals = await Promise.all(Array.from({ length: 8 }, (_, writer) => fill(`full-${writer}`, 10_000)))
// What one writer asks for is less, and may still have found a place.
const again = await fill('again', 10_000)
const whileFull = (await store.range('/')).records.length
const acknowledgedWhileFull = acknowledged.size
const healthyWhileFull = store.failure === undefined
rmSync(ballast)
const later = await fill('later', 200)
const { records } = await store.range('/')
const faults = await store.check()
const revisions = records.map(({ revision }) => revision).sort((left, right) => left - right)
await store.close()
console.log(
  JSON.stringify({
    refusals: refusals.map(
      (error) => error instanceof CoracleError && [error.code, error.retryable, error.facts.errno],
    ),
    again: again?.code,
    missingWhileFull: acknowledgedWhileFull - whileFull,
    healthyWhileFull,
    later: later?.message,
    lost: [...acknowledged].filter(([key, revision]) => !records.some((r) => r.key === key && r.revision === revision)),
    hasGaps: revisions.some((revision, at) => revision !== at + 1),
    faults,
  }),
)
