import { closeSync, constants, openSync } from 'node:fs'
import type { Report } from '../tape/play.ts'
import { readReports, startPlayer } from '../tape/play.ts'
import { launcherError, playFailed } from './errors.ts'
import { type AtGate, type GateNotice, passEarlyGate } from './gates.ts'
import type { TapeMarks } from './protocol.ts'

export interface PlayRequest {
  tape: Uint8Array
  marks: TapeMarks
  argv0?: string
  /** The reading end, taken over; the writing end stays the caller's. */
  reportRead: number
  reportWrite: number
  inherit: ReadonlyMap<number, number>
  /** The FIFO of its gates, and what happens at those before the last; needed for a tape that has such. */
  gates?: { fifo: string; atGate: AtGate }
  /** Told of children that nobody will ask for: the player itself, and the new process when its birth fails. */
  onChild?: (pid: number) => void
}

export interface Played {
  pid: number
  /** What the tape reported at its gate: the descriptor of a terminal's master, or 0. */
  result: number
  /** Resolves when the process has become the user's; rejects with PLAY_FAILED if a step after the gate fails. */
  running: Promise<void>
}

/**
 * Plays a tape up to its gate, or, without a gate, until execve. Rejects with PLAY_FAILED when a step fails.
 * `afterStart` runs once the player has its copies of the descriptors: the place to close ours, without which the end
 * of the reports is never seen.
 */
export async function playBirth(request: PlayRequest, afterStart: () => void): Promise<Played> {
  const { marks, inherit } = request
  if (!marks.userNamespaces) return play(request, afterStart)
  const { makeUserNamespaces } = await import('./user-namespaces.ts')
  let made: Map<number, number>
  try {
    made = await makeUserNamespaces(marks.userNamespaces, request.onChild)
  } catch (error) {
    afterStart()
    closeSync(request.reportRead)
    throw error
  }
  return play({ ...request, inherit: new Map([...inherit, ...made]) }, () => {
    for (const fd of made.values()) closeSync(fd)
    afterStart()
  })
}

function play(request: PlayRequest, afterStart: () => void): Promise<Played> {
  const { marks, inherit, argv0 } = request
  const player = startPlayer(request.tape, request.reportWrite, { inherit, ...(argv0 ? { argv0 } : {}) })
  request.onChild?.(player)
  afterStart()
  return new Promise((resolve, reject) => {
    let pid = 0
    let failed: Report | undefined
    let atGate: Report | undefined
    let early: Omit<GateNotice, 'pid'> | undefined
    let refused: unknown
    // The old half, which knows the pid, and the new one, which comes to the gate, report in either order.
    const tellGate = () => {
      if (pid !== 0 && early && request.gates) {
        void passEarlyGate({ ...early, pid }, request.gates).then((error) => {
          refused = error
        }, reject)
        early = undefined
      }
      if (pid !== 0 && atGate) resolve({ pid, result: atGate.result, running: running.promise })
    }
    const running = Promise.withResolvers<void>()
    // Whoever waits for the gate only must not be told of a rejection that nobody handles.
    running.promise.catch(() => {})
    const onReport = (report: Report) => {
      if (report.result < 0) failed ??= report
      else if (report.index === marks.clone) pid = report.result
      else if (report.index === marks.ready) atGate = report
      else {
        const gate = marks.gates?.find(({ at }) => at === report.index)
        early = gate && { name: gate.name, result: report.result }
      }
      tellGate()
    }
    readReports(request.reportRead, onReport).then(() => {
      const silent = pid === 0 || (marks.ready >= 0 && !atGate)
      const reason = 'the process was killed before it was ready; is the memory limit too low?'
      const lost = silent ? launcherError('PLAY_FAILED', `play tape: ${reason}`) : undefined
      const error = refused ?? (failed ? playFailed(failed) : lost)
      if (error) {
        if (pid !== 0 && !atGate) request.onChild?.(pid)
        reject(error)
        running.reject(error)
      } else {
        resolve({ pid, result: 0, running: running.promise })
        running.resolve()
      }
    }, reject)
  })
}

/**
 * What becomes of a process that somebody else has brought to its gate: its report FIFO is still open there. Resolves
 * when it has become the user's; rejects with PLAY_FAILED.
 */
export async function readRunning(fifo: string): Promise<void> {
  let failed: Report | undefined
  await readReports(openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK), (report) => {
    if (report.result < 0) failed ??= report
  })
  if (failed) throw playFailed(failed)
}
