import { EACCES, EPERM } from '../linux/errno-numbers.ts'
import type { HostFacts } from '../linux/host.ts'
import { rlimitNames } from '../spec/names.ts'
import type { OciProcess } from '../spec/types.ts'
import { writeFile } from '../tape/calls.ts'
import type { SyscallTape } from '../tape/syscall-tape.ts'

type OciLimit = NonNullable<OciProcess['rlimits']>[number]

const CAP_SYS_RESOURCE = 24n

/**
 * oom_score_adj and rlimits. Without CAP_SYS_RESOURCE a hard limit cannot be raised nor the score lowered: then the
 * nearest value is taken and `warnings` says so.
 */
export function recordLimits(tape: SyscallTape, process: OciProcess, host: HostFacts, warnings: string[]): void {
  const mayRaise = ((host.permitted >> CAP_SYS_RESOURCE) & 1n) === 1n
  if (process.oomScoreAdj !== undefined) {
    if (!mayRaise && process.oomScoreAdj < host.oomScoreAdj) {
      warnings.push(`oomScoreAdj ${process.oomScoreAdj} not set: CAP_SYS_RESOURCE is missing`)
    }
    // Through the host's own /proc, before the container's root is entered: CVE-2025-52881.
    const tolerate = mayRaise ? [] : [EACCES, EPERM]
    writeFile(tape, '/proc/self/oom_score_adj', String(process.oomScoreAdj), { tolerate })
  }
  for (const limit of process.rlimits ?? []) {
    if (isForLater(limit, host)) continue
    const { type, hard } = limit
    const own = host.hardLimits[rlimitNames.indexOf(type)] ?? Number.POSITIVE_INFINITY
    const asked = unlimited(hard)
    const given = Math.min(asked, mayRaise ? Number.POSITIVE_INFINITY : own)
    if (given < asked) warnings.push(`${type} hard limit ${hard} lowered to ${given}: CAP_SYS_RESOURCE is missing`)
    setLimit(tape, limit, given)
  }
}

/** The number of descriptors, once those of the birth are closed: until then a low limit would break it. */
export function recordLateLimits(tape: SyscallTape, process: OciProcess, host: HostFacts): void {
  for (const limit of process.rlimits ?? []) {
    if (isForLater(limit, host)) setLimit(tape, limit, unlimited(limit.hard))
  }
}

/** Lowering needs no privilege, so it can wait; a user namespace would not let us raise it any more. */
function isForLater({ type, hard }: OciLimit, host: HostFacts): boolean {
  return type === 'RLIMIT_NOFILE' && unlimited(hard) <= (host.hardLimits[rlimitNames.indexOf(type)] ?? 0)
}

function setLimit(tape: SyscallTape, { type, soft }: OciLimit, hard: number): void {
  const low = Math.min(unlimited(soft), hard)
  const pair = Buffer.alloc(16)
  pair.writeBigUInt64LE(limitBits(low), 0)
  pair.writeBigUInt64LE(limitBits(hard), 8)
  const shown = tape.struct(pair, `{soft=${low}, hard=${hard}}`)
  tape.call('prlimit64', [0, { value: rlimitNames.indexOf(type), shown: type }, shown, null])
}

/** JSON cannot hold RLIM_INFINITY (2^64 - 1) exactly: what rounds to it is meant as it; so is -1. */
function unlimited(value: number): number {
  return value < 0 || value >= 2 ** 63 ? Number.POSITIVE_INFINITY : value
}

function limitBits(value: number): bigint {
  return Number.isFinite(value) ? BigInt(value) : 0xffffffffffffffffn
}
