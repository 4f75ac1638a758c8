import { specInvalid } from '../../spec/errors.ts'
import type { OciSeccomp, OciSeccompRule, SeccompAction } from '../../spec/types.ts'
import type { Comparison } from './program.ts'

/** A rule of a profile after it has been looked at: no field of it can be wrong any more. */
export interface Rule {
  names: readonly string[]
  /** SECCOMP_RET_*, as an unsigned 32-bit number. */
  answer: number
  /** All must hold; none: the rule holds always. */
  conditions: readonly Condition[]
}

export interface Condition {
  argument: number
  comparison: Comparison
  value: bigint
  mask: bigint
}

export interface CheckedProfile {
  otherwise: number
  rules: readonly Rule[]
  architectures: readonly string[]
  /** For seccomp(2). */
  flags: number
  notifies: boolean
}

export const returns = { KILL_THREAD: 0, ERRNO: 0x50000, ALLOW: 0x7fff0000 } as const

/** linux/seccomp.h; the two that carry data take it in their low 16 bits. */
const actions: Readonly<Record<SeccompAction, { answer: number; carriesErrno: boolean }>> = {
  SCMP_ACT_KILL: { answer: returns.KILL_THREAD, carriesErrno: false },
  SCMP_ACT_KILL_THREAD: { answer: returns.KILL_THREAD, carriesErrno: false },
  SCMP_ACT_KILL_PROCESS: { answer: 0x80000000, carriesErrno: false },
  SCMP_ACT_TRAP: { answer: 0x30000, carriesErrno: false },
  SCMP_ACT_ERRNO: { answer: returns.ERRNO, carriesErrno: true },
  SCMP_ACT_NOTIFY: { answer: 0x7fc00000, carriesErrno: false },
  SCMP_ACT_TRACE: { answer: 0x7ff00000, carriesErrno: true },
  SCMP_ACT_LOG: { answer: 0x7ffc0000, carriesErrno: false },
  SCMP_ACT_ALLOW: { answer: returns.ALLOW, carriesErrno: false },
}
const EPERM = 1

const filterFlags: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
  SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV: 0x20,
}
const NEW_LISTENER = 8
/** TSYNC and NEW_LISTENER would both answer by a descriptor or an id: together they need this one (seccomp(2)). */
const TSYNC_ESRCH = 0x10

/** Names of config-linux.md; of those that our own kernel cannot run no call ever arrives. */
export const architectureNames =
  'X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE S390 S390X PARISC PARISC64 RISCV64 LOONGARCH64 M68K SH SHEB'
    .split(' ')
    .map((name) => `SCMP_ARCH_${name}`)

export const seccompNames = {
  actions: Object.keys(actions),
  flags: Object.keys(filterFlags),
} as const

const allOnes = 0xffffffffffffffffn
const mostArguments = 6

/** Checks every field. Throws SPEC_INVALID with the name of the field. */
export function checkProfile(profile: OciSeccomp): CheckedProfile {
  const { defaultAction, defaultErrnoRet, syscalls = [], architectures = [], flags = [] } = profile
  const field = 'linux.seccomp'
  if (defaultAction === 'SCMP_ACT_NOTIFY') {
    throw specInvalid(`${field}.defaultAction`, 'SCMP_ACT_NOTIFY for every call would stop the birth itself')
  }
  const otherwise = answerOf(defaultAction, defaultErrnoRet, {
    action: `${field}.defaultAction`,
    errno: `${field}.defaultErrnoRet`,
  })
  const unknown = listOf(architectures, `${field}.architectures`).find(
    (name) => !architectureNames.includes(name as string),
  )
  if (unknown !== undefined) throw specInvalid(`${field}.architectures`, `${shown(unknown)} is not an architecture`)
  const rules = listOf(syscalls, `${field}.syscalls`).flatMap((rule, at) =>
    checkRule(rule as OciSeccompRule, `${field}.syscalls[${at}]`),
  )
  const notifies = rules.some(({ answer }) => answer === actions.SCMP_ACT_NOTIFY.answer)
  checkListener(profile, notifies)
  return { otherwise, rules, architectures, flags: flagBits(flags, notifies), notifies }
}

function flagBits(flags: readonly string[], notifies: boolean): number {
  let bits = notifies ? NEW_LISTENER : 0
  for (const flag of listOf(flags, 'linux.seccomp.flags')) {
    const bit = filterFlags[flag as string]
    if (bit === undefined) throw specInvalid('linux.seccomp.flags', `${shown(flag)} is not a flag`)
    bits |= bit
  }
  const both = notifies && (bits & 1) !== 0
  return both ? bits | TSYNC_ESRCH : bits
}

/** What runc checks as well; the birth's own report is a `write`, so an agent that is not there yet cannot allow it. */
function checkListener({ listenerPath, listenerMetadata, syscalls = [] }: OciSeccomp, notifies: boolean): void {
  if (listenerPath !== undefined && typeof listenerPath !== 'string') {
    throw specInvalid('linux.seccomp.listenerPath', `${shown(listenerPath)} is not a path`)
  }
  if (listenerMetadata && !listenerPath) {
    throw specInvalid('linux.seccomp.listenerMetadata', 'is set without listenerPath')
  }
  if (!notifies) return
  if (!listenerPath) throw specInvalid('linux.seccomp.listenerPath', 'is missing, and SCMP_ACT_NOTIFY needs it')
  const stopsUs = syscalls.some(({ action, names }) => action === 'SCMP_ACT_NOTIFY' && names.includes('write'))
  if (stopsUs) throw specInvalid('linux.seccomp.syscalls', 'SCMP_ACT_NOTIFY cannot be used for write')
}

function checkRule(rule: OciSeccompRule, field: string): Rule[] {
  if (typeof rule !== 'object' || rule === null) throw specInvalid(field, 'is not an object')
  const { names, action, errnoRet, args } = rule
  const list = listOf(names, `${field}.names`)
  if (list.length === 0) throw specInvalid(`${field}.names`, 'is empty')
  const bad = list.find((name) => typeof name !== 'string' || name === '')
  if (bad !== undefined) throw specInvalid(`${field}.names`, `${shown(bad)} is not a name`)
  const answer = answerOf(action, errnoRet, { action: `${field}.action`, errno: `${field}.errnoRet` })
  const conditions = listOf(args ?? [], `${field}.args`).map((one, at) => checkCondition(one, `${field}.args[${at}]`))
  const twice = conditions.some(({ argument }, at) => conditions.findIndex((one) => one.argument === argument) !== at)
  // Profiles from before several conditions were joined by AND repeat an argument to mean OR; runc keeps that for them.
  return twice ? conditions.map((one) => ({ names, answer, conditions: [one] })) : [{ names, answer, conditions }]
}

function checkCondition(condition: unknown, field: string): Condition {
  if (typeof condition !== 'object' || condition === null) throw specInvalid(field, 'is not an object')
  const { index, op, value, valueTwo = 0 } = condition as Record<string, unknown>
  if (!Number.isInteger(index) || (index as number) < 0 || (index as number) >= mostArguments) {
    throw specInvalid(`${field}.index`, `${shown(index)} is not the number of an argument, 0 to 5`)
  }
  const first = word(value, `${field}.value`)
  const second = word(valueTwo, `${field}.valueTwo`)
  const argument = index as number
  switch (op) {
    case 'SCMP_CMP_MASKED_EQ':
      return { argument, comparison: 'MASKED_EQ', mask: first, value: second & first }
    case 'SCMP_CMP_NE':
    case 'SCMP_CMP_LT':
    case 'SCMP_CMP_LE':
    case 'SCMP_CMP_EQ':
    case 'SCMP_CMP_GE':
    case 'SCMP_CMP_GT':
      return { argument, comparison: op.slice('SCMP_CMP_'.length) as Comparison, mask: allOnes, value: first }
    default:
      throw specInvalid(`${field}.op`, `${shown(op)} is not an operator`)
  }
}

/** 64 bits. A number beyond 2^53 has lost some on its way, and nobody can say which: such a one must come as a bigint. */
function word(value: unknown, field: string): bigint {
  const isWhole = typeof value === 'bigint' || Number.isSafeInteger(value)
  if (!isWhole) throw specInvalid(field, `${shown(value)} is not exactly a whole number`)
  const bits = BigInt(value as number | bigint)
  if (bits < 0n || bits > allOnes) throw specInvalid(field, `${shown(value)} is not within 64 bits without a sign`)
  return bits
}

function answerOf(action: unknown, errno: unknown, field: { action: string; errno: string }): number {
  const known =
    typeof action === 'string' && Object.hasOwn(actions, action) ? actions[action as SeccompAction] : undefined
  if (!known) throw specInvalid(field.action, `${shown(action)} is not an action`)
  if (errno === undefined || errno === null) return known.carriesErrno ? known.answer | EPERM : known.answer
  if (!known.carriesErrno) throw specInvalid(field.errno, `${String(action)} does not carry one`)
  if (!Number.isInteger(errno) || (errno as number) < 0 || (errno as number) > 0xffff) {
    throw specInvalid(field.errno, `${shown(errno)} is not within 0 and 65535`)
  }
  return known.answer | (errno as number)
}

function listOf(value: unknown, field: string): readonly unknown[] {
  if (!Array.isArray(value)) throw specInvalid(field, 'is not a list')
  return value
}

const shown = (value: unknown) => (typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value)))
