import { cgroups } from '../cgroups/driver.ts'
import { readRecord } from '../launcher/records.ts'
import { isForeign } from './is-foreign.ts'
import { requireState } from './state.ts'

/** Freezes every process of a container. Throws NOT_FOUND, WRONG_STATE. */
export async function pause(root: string, id: string): Promise<void> {
  const { cgroupPath } = requireState(root, id, { verb: 'pause', states: ['running', 'created'] })
  const record = readRecord(root, id)
  if (isForeign(record)) return (await import('./foreign.ts')).askForeign(root, record, 'pause', id)
  await cgroups().freeze(cgroupPath, true)
}

/** Lets a paused container go on. Throws NOT_FOUND, WRONG_STATE. */
export async function resume(root: string, id: string): Promise<void> {
  const { cgroupPath } = requireState(root, id, { verb: 'resume', states: ['paused'] })
  const record = readRecord(root, id)
  if (isForeign(record)) return (await import('./foreign.ts')).askForeign(root, record, 'resume', id)
  await cgroups().freeze(cgroupPath, false)
}
