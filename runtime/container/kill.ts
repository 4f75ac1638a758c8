import { closeSync } from 'node:fs'
import { type CoracleError, hasCode } from '../base/errors.ts'
import { cgroups } from '../cgroups/driver.ts'
import { readRecord } from '../launcher/records.ts'
import { signalNumber } from '../linux/constants.ts'
import { pidfdOpen, pidfdSignal, startTimeOf } from '../linux/process.ts'
import { containerError } from './errors.ts'
import { isForeign } from './is-foreign.ts'
import type { Workplace } from './player.ts'
import { savedConfig } from './saved-config.ts'
import { requireState, stateOf } from './state.ts'

/**
 * Sends a signal to the first process of a container, or with `all` to everything in its cgroup. By pidfd and start
 * time, so that no other process can be hit. Throws NOT_FOUND, WRONG_STATE, INVALID_ID for an unknown signal.
 */
export async function kill(
  place: Workplace,
  id: string,
  options: { signal: string | number; all?: boolean },
): Promise<void> {
  const number = signalNumber(options.signal)
  if (number === undefined) throw containerError('INVALID_ID', `kill ${id}: ${options.signal} is not a signal`, { id })
  const record = readRecord(place.root, id)
  if (isForeign(record)) {
    requireState(place.root, id, { verb: 'kill', states: ['created', 'running', 'paused'] })
    const { askForeign } = await import('./foreign.ts')
    return askForeign(place.root, record, 'kill', ...(options.all ? ['--all'] : []), id, String(number))
  }
  if (options.all) {
    if (!record) throw containerError('NOT_FOUND', `kill ${id}: it does not exist`, { id })
    await killGroup(record.cgroupPath, number)
    return
  }
  const state = stateOf(place.root, id)
  // Without a pid namespace of its own the others do not die with the first process: SIGKILL means them all, as with runc.
  const mayLeaveSome = number === 9 && record?.kind === 'container' && !hasOwnPids(place, id)
  if (mayLeaveSome && cgroups().pids(record.cgroupPath).length > 0) {
    await cgroups().killAll(record.cgroupPath)
    if (state.status === 'paused') await cgroups().freeze(state.cgroupPath, false)
    return
  }
  if (state.status === 'stopped' || state.status === 'creating') throw notRunning(id, state.status)
  if (state.pid === undefined || !signalProcess(state.pid, number, record?.startTime)) {
    throw notRunning(id, 'stopped')
  }
  // A frozen process takes its death only when it is thawed.
  if (number === 9 && state.status === 'paused') await cgroups().freeze(state.cgroupPath, false)
}

function hasOwnPids(place: Workplace, id: string): boolean {
  return savedConfig(place.root, id).spec.linux?.namespaces?.some(({ type, path }) => type === 'pid' && !path) ?? false
}

/** In runc's words: engines look for them. */
function notRunning(id: string, status: string): CoracleError {
  return containerError('WRONG_STATE', `kill ${id}: container not running (it is ${status})`, { id, status })
}

async function killGroup(path: string, signal: number): Promise<void> {
  if (signal === 9) await cgroups().killAll(path)
  else for (const pid of cgroups().pids(path)) signalProcess(pid, signal, startTimeOf(pid))
}

/** Signals a process only if it is still the one that began at `startTime`; false when it is gone. */
export function signalProcess(pid: number, signal: number, startTime: number | undefined): boolean {
  let pidfd: number | undefined
  try {
    pidfd = pidfdOpen(pid)
    if (startTime === undefined || startTimeOf(pid) !== startTime) return false
    if (signal !== 0) pidfdSignal(pidfd, signal)
    return true
  } catch (error) {
    if (hasCode(error, 'KERNEL') && error.facts.errno === 'ESRCH') return false
    throw error
  } finally {
    if (pidfd !== undefined) closeSync(pidfd)
  }
}
