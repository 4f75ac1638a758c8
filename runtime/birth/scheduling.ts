import { specInvalid } from '../spec/errors.ts'
import { ioPriorityClasses, personalityDomains, schedulerFlags, schedulerPolicies } from '../spec/names.ts'
import type { OciProcess } from '../spec/types.ts'
import type { SyscallTape } from '../tape/syscall-tape.ts'

/**
 * True if the scheduler must be set by the new process itself: a deadline cannot be inherited, and after a reset nothing is.
 * All else is set before clone3, while this is root on the host.
 */
export function isForItself({ scheduler }: OciProcess): boolean {
  return scheduler?.policy === 'SCHED_DEADLINE' || (scheduler?.flags?.includes('SCHED_FLAG_RESET_ON_FORK') ?? false)
}

/** `process.scheduler` (sched_setattr(2)); times in nanoseconds. */
export function recordScheduler(tape: SyscallTape, { scheduler }: OciProcess): void {
  if (!scheduler) return
  const { policy, nice = 0, priority = 0, flags = [], runtime = 0, deadline = 0, period = 0 } = scheduler
  const attributes = Buffer.alloc(48)
  attributes.writeUInt32LE(48, 0)
  attributes.writeUInt32LE(schedulerPolicies.indexOf(policy as (typeof schedulerPolicies)[number]), 4)
  attributes.writeBigUInt64LE(BigInt(flags.reduce((all, flag) => all | (schedulerFlags[flag] ?? 0), 0)), 8)
  attributes.writeInt32LE(nice, 16)
  attributes.writeUInt32LE(priority, 20)
  for (const [at, time] of [runtime, deadline, period].entries()) {
    attributes.writeBigUInt64LE(BigInt(time), 24 + 8 * at)
  }
  tape.because('process.scheduler; EPERM may be a cgroup without cpu.realtimeRuntime')
  const shown = `{${[policy, ...flags].join('|')}, nice=${nice}, priority=${priority}, ${runtime}/${deadline}/${period} ns}`
  tape.call('sched_setattr', [0, tape.struct(attributes, shown), 0])
}

/** `process.ioPriority`: inherited by all that the process starts. */
export function recordIoPriority(tape: SyscallTape, { ioPriority }: OciProcess): void {
  if (!ioPriority) return
  const { class: name, priority = 0 } = ioPriority
  const value = (ioPriorityClasses.indexOf(name as (typeof ioPriorityClasses)[number]) << 13) | priority
  tape.because('process.ioPriority')
  tape.call('ioprio_set', [{ value: 1, shown: 'IOPRIO_WHO_PROCESS' }, 0, { value, shown: `${name}|${priority}` }])
}

/** `linux.personality` (personality(2)). */
export function recordPersonality(tape: SyscallTape, domain: string): void {
  tape.because('linux.personality')
  tape.call('personality', [{ value: personalityDomains[domain] ?? 0, shown: domain }])
}

/** One side of `process.execCPUAffinity`, a list of processors such as `0-3,7` (sched_setaffinity(2)). */
export function recordAffinity(tape: SyscallTape, side: 'initial' | 'final', list: string | undefined): void {
  if (!list) return
  const mask = processorMask(`process.execCPUAffinity.${side}`, list)
  tape.because(`process.execCPUAffinity.${side}`)
  tape.call('sched_setaffinity', [0, mask.length, tape.struct(mask, `[${list}]`)])
}

const mostProcessors = 8192

/** A cpu_set_t of this list. Throws SPEC_INVALID, naming `field`. */
export function processorMask(field: string, list: string): Uint8Array {
  const mask = new Uint8Array(mostProcessors / 8)
  for (const part of list.split(',')) {
    const range = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part)
    const [first, last] = [Number(range?.[1]), Number(range?.[2] ?? range?.[1])]
    if (!range || last < first || last >= mostProcessors) {
      throw specInvalid(field, `${JSON.stringify(part)} is not a processor or a range of them`)
    }
    for (let cpu = first; cpu <= last; cpu++) mask[cpu >> 3] = (mask[cpu >> 3] ?? 0) | (1 << (cpu & 7))
  }
  // No longer than needed: the kernel reads as much as there is.
  return mask.subarray(0, (Math.floor(mask.findLastIndex((byte) => byte !== 0) / 8) + 1) * 8)
}
