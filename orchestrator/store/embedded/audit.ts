import type { DatabaseSync } from 'node:sqlite'
import { messageOf } from '../../../runtime/base/errors.ts'
import { isDamage, readState } from './layout.ts'

/** Each row beside the one before it of the same key: the log has to read like one history. */
const chains = `
  WITH chain AS (
    SELECT revision, created, previous, value IS NULL AS gone,
           lag(revision) OVER older AS old, lag(created) OVER older AS oldCreated, lag(value IS NULL) OVER older AS oldGone
    FROM log WINDOW older AS (PARTITION BY key ORDER BY revision)
  )
  SELECT revision FROM chain
  WHERE (oldGone = 0 AND (previous <> old OR created <> oldCreated))
     OR (oldGone = 1 AND (previous <> 0 OR created <> revision OR gone))
     OR (old IS NULL AND previous = 0 AND (created <> revision OR gone))
     OR (old IS NULL AND previous > 0 AND (previous > :compacted OR created > previous))
  ORDER BY revision LIMIT 100
`

/** The index holds what the log holds, up to where it has come. */
const differences = `
  SELECT revision FROM (
    SELECT key, revision FROM log WHERE revision <= :indexed EXCEPT SELECT key, revision FROM by_key
  ) UNION SELECT revision FROM (SELECT key, revision FROM by_key EXCEPT SELECT key, revision FROM log)
  LIMIT 100
`

/** Broken invariants of the file and of the log in it, as sentences. */
export function auditLog(database: DatabaseSync): string[] {
  const faults = auditPages(database)
  if (faults.length > 0) return faults
  const compacted = readState(database, 'compacted')
  const broken = database.prepare(chains).all({ compacted })
  const order = { swept: readState(database, 'swept'), compacted, revision: lastRevision(database) }
  const [first, ...others] = Object.entries(order)
  let before = first
  for (const next of others) {
    if (before && before[1] > next[1]) faults.push(`${before[0]} is ${before[1]}, and ${next[0]} only ${next[1]}`)
    before = next
  }
  const indexed = readState(database, 'indexed')
  const strays = database.prepare(differences).all({ indexed })
  faults.push(...strays.map(({ revision }) => `revision ${revision} is not in the index as it is in the log`))
  return [...faults, ...broken.map(({ revision }) => `revision ${revision} does not follow from the one before it`)]
}

function auditPages(database: DatabaseSync): string[] {
  try {
    const integrity = database.prepare('PRAGMA integrity_check').all()
    return integrity.map((row) => String(row.integrity_check)).filter((text) => text !== 'ok')
  } catch (error) {
    // Some damage it does not list, but fails of.
    if (isDamage(error)) return [messageOf(error)]
    throw error
  }
}

/** The newest revision that was given out. Compaction can remove its row, when that is a deletion. */
export function lastRevision(database: DatabaseSync): number {
  const { last } = database.prepare('SELECT max(revision) AS last FROM log').get() as { last: number | null }
  return Math.max(last ?? 0, readState(database, 'revision'), readState(database, 'compacted'))
}
