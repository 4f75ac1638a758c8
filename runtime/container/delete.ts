import { readdirSync, rmdirSync, unlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf, hasCode, runAll } from '../base/errors.ts'
import { cgroups } from '../cgroups/driver.ts'
import { folderOf, hasExit, readRecord } from '../launcher/records.ts'
import { startTimeOf } from '../linux/process.ts'
import { cgroupPathOf } from './cgroup-path.ts'
import { containerError } from './errors.ts'
import { unmountHostRoot } from './host-root.ts'
import { isForeign } from './is-foreign.ts'
import { signalProcess } from './kill.ts'
import type { Workplace } from './player.ts'
import { savedConfig } from './saved-config.ts'
import { statusOf } from './state.ts'

/**
 * Removes a stopped container and all traces of it. With `force` a living one is killed first, and one that does not
 * exist is fine. Throws NOT_FOUND, WRONG_STATE.
 */
export async function deleteContainer(place: Workplace, id: string, options: { force?: boolean } = {}): Promise<void> {
  const { force = false } = options
  const record = readRecord(place.root, id)
  if (!record) {
    if (!force) throw containerError('NOT_FOUND', `delete ${id}: it does not exist`, { id })
    await removeTraces(place, id, cgroupOfUnborn(place.root, id))
    return
  }
  const status = statusOf(place.root, record)
  if (status !== 'stopped') {
    if (!force) {
      throw containerError('WRONG_STATE', `delete ${id}: the container is ${status}, not stopped`, { id, status })
    }
    // By its pid too: somebody may have moved it out of its cgroup.
    if (record.pid !== undefined) signalProcess(record.pid, 9, record.startTime)
  }
  if (isForeign(record)) await (await import('./foreign.ts')).removeForeign(place.root, record)
  const spec = record.hasHooks ? savedConfig(place.root, id).spec : undefined
  await removeTraces(place, id, record.cgroupPath)
  if (!spec) return
  const { runPoststop } = await import('./hooks.ts')
  await runPoststop(place, { record, spec, environment: place.environment })
}

/** Of a container whose create was killed before it had a state: the cgroup was made after config.json, which is whole then. */
function cgroupOfUnborn(root: string, id: string): string {
  try {
    return cgroupPathOf(savedConfig(root, id).spec.linux?.cgroupsPath, id)
  } catch (error) {
    if (error instanceof SyntaxError || hasCode(error, 'NOT_FOUND')) return ''
    throw error
  }
}

/** Kills what is left in the cgroup and removes cgroup and folder, whatever of it there is. */
export async function removeTraces(place: Workplace, id: string, cgroupPath: string): Promise<void> {
  await runAll(`delete ${id}`, [
    async () => {
      if (cgroupPath !== '' && !hasExit(place.root, id)) await killAll(cgroupPath)
    },
    // Its end is on disk, with what the cgroup told of it, before the cgroup goes.
    () => endOf(place, id, cgroupPath),
    async () => {
      // Nearly always nothing is left in it, and then the kernel lets it go at once.
      if (cgroupPath === '' || cgroups().removeIfEmpty(cgroupPath)) return
      await killAll(cgroupPath)
      await cgroups().remove(cgroupPath)
    },
    () => unmountHostRoot(place.root, id),
    () => removeFolder(folderOf(place.root, id)),
  ])
}

async function killAll(cgroupPath: string): Promise<void> {
  if (cgroups().pids(cgroupPath).length === 0) return
  if (cgroups().isFrozen(cgroupPath)) await cgroups().freeze(cgroupPath, false)
  await cgroups().killAll(cgroupPath)
}

async function endOf(place: Workplace, id: string, cgroupPath: string): Promise<void> {
  const end = place.player.wait(id).then(
    () => true,
    (error) => hasCode(error, 'NOT_FOUND') || Promise.reject(error),
  )
  const until = performance.now() + endsWithinMilliseconds
  while (!(await Promise.race([end, sleep(lateMilliseconds, false, { ref: false })]))) {
    if (performance.now() > until) throw neverEnds(place.root, id)
    if (cgroupPath === '') continue
    takeBackFirst(place.root, id, cgroupPath)
    // A birth whose client has gone may enter the cgroup only now: it would wait at its gate for ever.
    await killAll(cgroupPath)
  }
}

const lateMilliseconds = 50
/** As runc: what was killed and is still there then is held by the kernel, as by a device that does not answer. */
const endsWithinMilliseconds = 10_000

/** Somebody may have moved the first process into a group that is frozen, where no signal reaches it. */
function takeBackFirst(root: string, id: string, cgroupPath: string): void {
  const { pid, startTime } = readRecord(root, id) ?? {}
  if (pid === undefined || startTime === undefined || startTimeOf(pid) !== startTime) return
  if (cgroups().pids(cgroupPath).includes(pid)) return
  try {
    cgroups().takeBack(cgroupPath, pid)
  } catch (error) {
    // It has ended meanwhile, or there is no group any more to take it back to.
    if (!['ESRCH', 'ENOENT', 'ENODEV'].includes(errnoOf((error as Error).cause) ?? '')) throw error
  }
}

/** In runc's words. */
function neverEnds(root: string, id: string) {
  const { pid = 0 } = readRecord(root, id) ?? {}
  const message = `delete ${id}: container init still running: process ${pid} was killed and does not end`
  return containerError('WRONG_STATE', message, { id, pid })
}

/** Files and empty folders, one by one: nothing that is mounted there could be emptied by mistake. */
function removeFolder(folder: string): void {
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) rmdirSync(`${folder}/${entry.name}`)
      else unlinkSync(`${folder}/${entry.name}`)
    }
    rmdirSync(folder)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
  }
}
