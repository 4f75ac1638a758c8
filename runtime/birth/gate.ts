import { playerDescriptors, reportBytes } from '../tape/play.ts'
import type { Pointer, SyscallTape } from '../tape/syscall-tape.ts'

/*
 * Where a birth stops and waits for its player:
 *
 *     player   ──tape──►  clone3 ──pid──►
 *                            │
 *                        copy-up         for each tmpfs with tmpcopyup: the player copies into it, then one byte
 *                            │
 *                       create-hooks      only with hooks: everything is mounted and the root not yet entered;
 *                            │            prestart, createRuntime and createContainer run, then one byte
 *                      seccomp-agent      only with SCMP_ACT_NOTIFY: the filter is in force; the result is the listener's
 *                            │            descriptor, which is fetched and sent to the agent, then one byte
 *                         created         every container: waits for start, one byte
 *                            │
 *                          execve
 *
 * At a gate the tape writes the report {index of this entry, result} and reads one byte from `gateDescriptor`. A byte for each
 * gate, in order: nobody opens one that has not been reported.
 */
export type GateName = 'copy-up' | 'create-hooks' | 'seccomp-agent' | 'created'

/** A gate before the last one. */
export interface EarlyGate {
  name: Exclude<GateName, 'created'>
  /** The entry of the tape that reports it. */
  at: number
}

/** The descriptor that is read for the byte that opens a gate. */
export const gateDescriptor = playerDescriptors.firstFree
/** Where the master of a terminal waits to be fetched; without a terminal it is free. */
export const masterDescriptor = gateDescriptor + 1
/** Where the folder that is copied and the filesystem into which it is copied lie while the gate `copy-up` is shut. */
export const copyDescriptors = { from: 500, to: 501 } as const
/** What of the new filesystem's own root the copy must leave as it is, because config.json says it: the result of `copy-up`. */
export function copyUpResult({ mode, owner }: { mode: boolean; owner: boolean }): number {
  return (mode ? 1 : 0) | (owner ? 2 : 0)
}

/** The opposite of `copyUpResult`. */
export function keptByCopyUp(result: number): { mode: boolean; owner: boolean } {
  return { mode: (result & 1) !== 0, owner: (result & 2) !== 0 }
}

/** The first of the user namespaces that the player makes for a tape. */
export const namespaceDescriptor = masterDescriptor + 1

/** Records a gate. Returns the index of the entry that reports; `result` goes with the report. */
export function passGate(tape: SyscallTape, name: string, result = 0): number {
  const index = tape.entries.length
  wait(tape, reportOf(tape, name, { index, result }))
  return index
}

/**
 * Records one call and, right behind it, a gate whose report carries the call's own result: nothing else is called between
 * them. Returns the index of the entry that reports.
 */
export function passGateWithResult(tape: SyscallTape, name: string, call: (storeAt: Pointer) => void): number {
  const index = tape.entries.length + 1
  const report = reportOf(tape, name, { index, result: 0 })
  call({ at: report.at + resultOffset, shown: 'the report' })
  wait(tape, report)
  return index
}

const resultOffset = 8

function reportOf(tape: SyscallTape, name: string, { index, result }: { index: number; result: number }): Pointer {
  const report = Buffer.alloc(reportBytes)
  report.writeBigUInt64LE(BigInt(index))
  report.writeBigInt64LE(BigInt(result), resultOffset)
  return tape.struct(report, `{${name}, ${result}}`)
}

function wait(tape: SyscallTape, report: Pointer): void {
  tape.call('write', [playerDescriptors.report, report, reportBytes])
  tape.call('read', [gateDescriptor, tape.struct(new Uint8Array(8), '<go>'), 1])
}
