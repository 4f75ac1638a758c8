import { statSync } from 'node:fs'
import { messageOf } from '../../../runtime/base/errors.ts'
import { storeError } from '../errors.ts'
import { withOwnStore } from './files.ts'

export interface Defragmented {
  readonly bytesBefore: number
  readonly bytesAfter: number
}

/**
 * Gives the room of what was compacted back to the file system. Needs as much room again for the time that it takes, and
 * a store that no server has: its writers would have to wait. Throws STORE_LOCKED, STORE_FAILED (all is as it was).
 */
export function defragStore(path: string): Defragmented {
  const bytesBefore = withOwnStore(path, (database) => {
    database.exec('PRAGMA wal_checkpoint(TRUNCATE)')
    const { size } = statSync(path)
    try {
      database.exec('VACUUM')
    } catch (error) {
      throw storeError('STORE_FAILED', `defragment ${path}: ${messageOf(error)}`, error)
    }
    return size
  })
  return { bytesBefore, bytesAfter: statSync(path).size }
}
