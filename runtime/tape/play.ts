import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { CoracleError } from '../base/errors.ts'
import { errnoName } from '../linux/errno.ts'
import { sealedMemfd, spawn } from '../linux/process.ts'
import { callText } from './listing.ts'
import { playerProgram } from './player-program.ts'
import type { SyscallTape } from './syscall-tape.ts'

/** Descriptors of the player; everything else that a tape expects starts at `firstFree`. */
export const playerDescriptors = { tape: 3, report: 4, firstFree: 5 } as const

/** What the player says: the result of one entry. Below 0 it is -errno, and the play is over. */
export interface Report {
  index: number
  result: number
}

/** Our own streams, for a process that shall share them. */
export const ownStreams: readonly (readonly [number, number])[] = [
  [0, 0],
  [1, 1],
  [2, 2],
]

export const reportBytes = 16

/** One for all plays: reports are taken out of it as soon as they have been read. */
const reports = Buffer.alloc(64 * reportBytes)

/** What the kernel calls the player's file: `/proc/PID/exe` of a process that waits at its gate. */
export const playerName = 'coracle-player'

let program: number | undefined

/**
 * Starts the player on encoded tape bytes and returns its pid at once. `report` is the writing end for reports;
 * `inherit` are more descriptors (the player's number → ours), such as 0, 1 and 2. Throws `KERNEL`.
 */
export function startPlayer(
  tape: Uint8Array,
  report: number,
  options: { inherit?: ReadonlyMap<number, number>; argv0?: string } = {},
): number {
  program ??= sealedMemfd(playerName, playerProgram(process.arch === 'arm64' ? 'arm64' : 'x64'))
  const memory = sealedMemfd('coracle-tape', tape)
  try {
    const { tape: tapeFd, report: reportFd } = playerDescriptors
    const inherit = new Map([[tapeFd as number, memory], [reportFd as number, report], ...(options.inherit ?? [])])
    return spawn(program, options.argv0 ?? playerName, inherit)
  } finally {
    closeSync(memory)
  }
}

/**
 * Reads reports from `fd` until every writer has closed it, which execve does. Takes the descriptor over.
 * Reports are smaller than PIPE_BUF, so the kernel never splits one, and a buffer of whole reports is never filled by half of one.
 */
export function readReports(fd: number, onReport: (report: Report) => void): Promise<void> {
  const onRead = (bytes: number) => {
    for (let at = 0; at + reportBytes <= bytes; at += reportBytes) onReport(parseReport(reports.subarray(at)))
    return true
  }
  const onread = { buffer: reports, callback: onRead }
  const socket = new Socket({ fd, readable: true, writable: false, onread })
  socket.resume()
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('close', () => resolve())
  })
}

/** One report from its bytes. */
export function parseReport(bytes: Buffer): Report {
  return { index: Number(bytes.readBigUInt64LE(0)), result: Number(bytes.readBigInt64LE(8)) }
}

/** The error that a failed report stands for: `mount("proc", "/proc") failed: EPERM (step 14 of 97)`. */
export function stepError(tape: SyscallTape, report: Report): CoracleError {
  const entry = tape.entries[report.index]
  const call = entry ? callText(entry) : `entry ${report.index}`
  const errno = errnoName(-report.result)
  const step = report.index + 1
  return new CoracleError(`${call} failed: ${errno} (step ${step} of ${tape.entries.length})`, {
    code: 'TAPE_STEP_FAILED',
    facts: { syscall: entry?.name ?? '', errno, step, steps: tape.entries.length, why: entry?.why ?? '' },
  })
}
