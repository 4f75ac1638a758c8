import type { DatabaseSync } from 'node:sqlite'
import { readState, writeState } from './layout.ts'

/** Writers wait no longer than for these: some 10 ms. */
const rowsAtOnce = 2000

const doomed = `
  SELECT previous FROM log WHERE revision > :swept AND revision <= :upTo AND previous > 0
  UNION SELECT revision FROM log WHERE revision > :swept AND revision <= :upTo AND value IS NULL
`

/**
 * One step of a compaction up to `target`: removes what the next rows replace, and deletions themselves. To be called
 * in a transaction, until it returns true. A compaction that was cut off is finished by the next one.
 */
export function sweepStep(database: DatabaseSync, target: number): boolean {
  const swept = readState(database, 'swept')
  if (swept >= target) return true
  const range = database
    .prepare(
      `SELECT count(*) AS rows, max(revision) AS last FROM
         (SELECT revision FROM log WHERE revision > ? AND revision <= ? ORDER BY revision LIMIT ${rowsAtOnce})`,
    )
    .get(swept, target) as { rows: number; last: number | null }
  const isLast = range.rows < rowsAtOnce
  const upTo = isLast ? target : (range.last ?? target)
  database
    .prepare(
      `DELETE FROM by_key WHERE (key, revision) IN (SELECT key, revision FROM log WHERE revision IN (${doomed}))`,
    )
    .run({ swept, upTo })
  database.prepare(`DELETE FROM log WHERE revision IN (${doomed})`).run({ swept, upTo })
  writeState(database, 'swept', upTo)
  return isLast
}
