import { playerDescriptors, reportBytes } from '../tape/play.ts'
import type { SyscallTape } from '../tape/syscall-tape.ts'

/*
 * Where a birth stops and waits for its player:
 *
 *     player   ──tape──►  clone3 ──pid──►
 *                            │
 *                       create-hooks      only with hooks: everything is mounted and the root not yet entered;
 *                            │            prestart, createRuntime and createContainer run, then one byte
 *                         created         every container: waits for start, one byte
 *                            │
 *                          execve
 *
 * At a gate the tape writes the report {index of this entry, result} and reads one byte from `gateDescriptor`. A byte for each
 * gate, in order: nobody opens one that has not been reported.
 */
export type GateName = 'create-hooks' | 'created'

/** The descriptor that is read for the byte that opens a gate. */
export const gateDescriptor = playerDescriptors.firstFree
/** Where the master of a terminal waits to be fetched; without a terminal it is free. */
export const masterDescriptor = gateDescriptor + 1
/** The first of the user namespaces that the player makes for a tape. */
export const namespaceDescriptor = masterDescriptor + 1

/** Records a gate. Returns the index of the entry that reports; `result` goes with the report. */
export function passGate(tape: SyscallTape, name: string, result = 0): number {
  const index = tape.entries.length
  const report = Buffer.alloc(reportBytes)
  report.writeBigUInt64LE(BigInt(index))
  report.writeBigInt64LE(BigInt(result), 8)
  tape.call('write', [playerDescriptors.report, tape.struct(report, `{${name}, ${result}}`), reportBytes])
  tape.call('read', [gateDescriptor, tape.struct(new Uint8Array(8), '<go>'), 1])
  return index
}
