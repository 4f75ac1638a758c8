import { cgroups } from '../cgroups/driver.ts'
import type { ContainerRecord, ExitRecord } from '../launcher/protocol.ts'
import { hasExit, listIds, readExit, readRecord } from '../launcher/records.ts'
import { programOf, startTimeOf } from '../linux/process.ts'
import { playerName } from '../tape/play.ts'
import { containerError } from './errors.ts'

/**
 *     creating ──► created ──start──► running ◄──pause/resume──► paused
 *                     │                  │
 *                     └───── kill ───────┴──► stopped ──delete──► (gone)
 */
export type ContainerStatus = 'creating' | 'created' | 'running' | 'paused' | 'stopped'

/** Times are RFC 3339. */
export interface ContainerState {
  id: string
  kind: 'container' | 'sandbox'
  status: ContainerStatus
  /** While it lives, in the host's pid namespace. */
  pid?: number
  createdAt: string
  startedAt?: string
  finishedAt?: string
  exitCode?: number
  signal?: number
  oomKilled?: boolean
  reason?: string
  annotations: Record<string, string>
  bundle?: string
  logPath?: string
  cgroupPath: string
}

/** The state from disk, checked against the process table: a pid that has come to mean another process is not believed. Throws NOT_FOUND. */
export function stateOf(root: string, id: string): ContainerState {
  const record = readRecord(root, id)
  if (!record) throw containerError('NOT_FOUND', `find container ${id}: it does not exist`, { id })
  const exit = readExit(root, id)
  return stateFrom(record, { status: exit ? 'stopped' : liveStatus(record), exit })
}

/** What `stateOf` says of the status alone, for a record that has just been read. */
export function statusOf(root: string, record: ContainerRecord): ContainerStatus {
  return hasExit(root, record.id) ? 'stopped' : liveStatus(record)
}

/** The state of a record whose status is known already. */
export function stateFrom(
  record: ContainerRecord,
  { status, exit }: { status: ContainerStatus; exit?: ExitRecord | undefined },
): ContainerState {
  const { id, kind, pid, createdAt, startedAt, annotations, bundle, log, cgroupPath } = record
  return {
    id,
    kind,
    status,
    ...(pid === undefined || status === 'stopped' ? {} : { pid }),
    createdAt,
    ...(startedAt === undefined ? {} : { startedAt }),
    ...exit,
    annotations,
    ...(bundle === undefined ? {} : { bundle }),
    ...(log ? { logPath: log.path } : {}),
    cgroupPath,
  }
}

function liveStatus(record: ContainerRecord): ContainerStatus {
  const { pid, startTime, startedAt, cgroupPath } = record
  if (pid === undefined) return 'creating'
  if (startTime === undefined || startTimeOf(pid) !== startTime) return 'stopped'
  if (startedAt === undefined) return waitsAtGate(record) ? 'created' : 'running'
  return cgroupPath !== '' && cgroups().isFrozen(cgroupPath) ? 'paused' : 'running'
}

/** A start can be killed between opening the gate and writing it down: then the process is the player no more. */
function waitsAtGate({ pid = 0, handler }: ContainerRecord): boolean {
  return handler !== undefined || programOf(pid)?.startsWith(`/memfd:${playerName}`) !== false
}

/** All containers of this root, by id. */
export function listStates(root: string): ContainerState[] {
  return listIds(root).flatMap((id) => (readRecord(root, id) ? [stateOf(root, id)] : []))
}

/** The state, if it is one of `allowed`. Throws NOT_FOUND, WRONG_STATE. */
export function requireState(
  root: string,
  id: string,
  allowed: { verb: string; states: readonly ContainerStatus[] },
): ContainerState {
  const state = stateOf(root, id)
  if (!allowed.states.includes(state.status)) {
    const message = `${allowed.verb} ${id}: the container is ${state.status}, not ${allowed.states.join(' or ')}`
    throw containerError('WRONG_STATE', message, { id, status: state.status })
  }
  return state
}
