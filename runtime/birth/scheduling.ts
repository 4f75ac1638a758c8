import { memoryPolicyOf } from '../spec/memory-policy.ts'
import { ioPriorityClasses, personalityDomains, schedulerFlags, schedulerPolicies } from '../spec/names.ts'
import { maskOf } from '../spec/number-list.ts'
import type { OciMemoryPolicy, OciProcess } from '../spec/types.ts'
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
  const mask = maskOf(`process.execCPUAffinity.${side}`, list, { noun: 'processor', most: 8192 })
  tape.because(`process.execCPUAffinity.${side}`)
  tape.call('sched_setaffinity', [0, mask.length, tape.struct(mask, `[${list}]`)])
}

/** `linux.memoryPolicy` (set_mempolicy(2)): on which memory nodes lies what the process, and all that it starts, gets. */
export function recordMemoryPolicy(tape: SyscallTape, policy: OciMemoryPolicy | undefined): void {
  if (!policy) return
  const { mode, nodes } = memoryPolicyOf(policy)
  const shown = { value: mode, shown: [policy.mode, ...(policy.flags ?? [])].join('|') }
  tape.because('linux.memoryPolicy')
  // The kernel counts one bit less than it is told.
  if (nodes.length === 0) tape.call('set_mempolicy', [shown, null, 0])
  else tape.call('set_mempolicy', [shown, tape.struct(nodes, `[${policy.nodes}]`), nodes.length * 8 + 1])
}
