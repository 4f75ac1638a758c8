import { auditLog } from './audit.ts'
import { withAnyStore } from './files.ts'

/** Broken invariants of the store at `path`, as sentences; a server may be running on it. Throws STORE_DAMAGED. */
export function checkStore(path: string): string[] {
  return withAnyStore(path, auditLog)
}
