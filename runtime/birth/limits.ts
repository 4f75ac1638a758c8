import { EACCES, EPERM } from '../linux/errno-numbers.ts'
import type { HostFacts } from '../linux/host.ts'
import type { OciProcess } from '../spec/types.ts'
import { rlimitNames } from '../spec/validate.ts'
import { writeFile } from '../tape/calls.ts'
import type { SyscallTape } from '../tape/syscall-tape.ts'

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
  for (const { type, soft, hard } of process.rlimits ?? []) {
    const number = rlimitNames.indexOf(type)
    const ceiling = mayRaise ? Number.POSITIVE_INFINITY : (host.hardLimits[number] ?? Number.POSITIVE_INFINITY)
    const asked = unlimited(hard)
    const given = Math.min(asked, ceiling)
    if (given < asked) warnings.push(`${type} hard limit ${hard} lowered to ${given}: CAP_SYS_RESOURCE is missing`)
    const pair = Buffer.alloc(16)
    const low = Math.min(unlimited(soft), given)
    pair.writeBigUInt64LE(limitBits(low), 0)
    pair.writeBigUInt64LE(limitBits(given), 8)
    const shown = tape.struct(pair, `{soft=${low}, hard=${given}}`)
    tape.call('prlimit64', [0, { value: number, shown: type }, shown, null])
  }
}

/** JSON cannot hold RLIM_INFINITY (2^64 - 1) exactly: what rounds to it is meant as it; so is -1. */
function unlimited(value: number): number {
  return value < 0 || value >= 2 ** 63 ? Number.POSITIVE_INFINITY : value
}

function limitBits(value: number): bigint {
  return Number.isFinite(value) ? BigInt(value) : 0xffffffffffffffffn
}
