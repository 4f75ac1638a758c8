/*
 * An OCI seccomp profile as a classic BPF program (seccomp(2), Documentation/userspace-api/seccomp_filter.rst).
 * IMPLEMENTED: the native architecture, all actions but NOTIFY, all operators on 64-bit arguments, flags, binary
 * search by call number, ENOSYS for calls that are newer than the profile.
 * NOT IMPLEMENTED: other architectures of the same machine (i386, x32, arm): their calls answer ENOSYS. NOTIFY.
 */
import { prctlOptions, SECCOMP_SET_MODE_FILTER } from '../linux/constants.ts'
import { type Architecture, syscallNumber } from '../linux/syscall-numbers.ts'
import { specInvalid, specUnsupported } from '../spec/errors.ts'
import type { OciSeccomp, OciSeccompRule, SeccompAction } from '../spec/types.ts'
import type { SyscallTape } from '../tape/syscall-tape.ts'

export interface Instruction {
  code: number
  jumpTrue: number
  jumpFalse: number
  k: number
}

const LOAD = 0x20 // BPF_LD | BPF_W | BPF_ABS
const JUMP = 0x05
const JUMP_EQUAL = 0x15
const JUMP_GREATER = 0x25
const JUMP_GREATER_EQUAL = 0x35
const AND = 0x54
const RETURN = 0x06
const auditArchitecture: Readonly<Record<Architecture, number>> = { x64: 0xc000003e, arm64: 0xc00000b7 }
const ENOSYS = 38
const RET_ERRNO = 0x00050000

const filterFlags: Readonly<Record<string, number>> = {
  SECCOMP_FILTER_FLAG_TSYNC: 1,
  SECCOMP_FILTER_FLAG_LOG: 2,
  SECCOMP_FILTER_FLAG_SPEC_ALLOW: 4,
}

const at = (code: number, k: number, jumpTrue = 0, jumpFalse = 0): Instruction => ({ code, k, jumpTrue, jumpFalse })

/** Records no_new_privs' companion: the filter is in force from this entry on. */
export function recordSeccomp(tape: SyscallTape, profile: OciSeccomp, architecture: Architecture): void {
  const program = compileSeccomp(profile, architecture)
  const bytes = Buffer.alloc(program.length * 8)
  program.forEach(({ code, jumpTrue, jumpFalse, k }, index) => {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(jumpTrue, index * 8 + 2)
    bytes.writeUInt8(jumpFalse, index * 8 + 3)
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4)
  })
  let flags = 0
  for (const flag of profile.flags ?? []) {
    const bit = filterFlags[flag]
    if (bit === undefined) throw specUnsupported('linux.seccomp.flags', `${flag} is not supported yet`)
    flags |= bit
  }
  const filter = Buffer.alloc(16)
  filter.writeUInt16LE(program.length)
  const shown = `{${program.length} instructions}`
  const place = tape.struct(filter, shown, [[8, tape.struct(bytes, 'BPF')]])
  tape.call('seccomp', [{ value: SECCOMP_SET_MODE_FILTER, shown: 'SECCOMP_SET_MODE_FILTER' }, flags, place])
}

/** PR_SET_NO_NEW_PRIVS. */
export function noNewPrivileges(tape: SyscallTape): void {
  tape.call('prctl', [{ value: prctlOptions.PR_SET_NO_NEW_PRIVS, shown: 'PR_SET_NO_NEW_PRIVS' }, 1, 0, 0, 0])
}

/** The profile as BPF. Throws SPEC_INVALID or SPEC_UNSUPPORTED for what it cannot express. */
export function compileSeccomp(profile: OciSeccomp, architecture: Architecture): Instruction[] {
  const defaultReturn = returnValue(profile.defaultAction, profile.defaultErrnoRet)
  const rules = rulesByNumber(profile, architecture)
  const newest = Math.max(-1, ...rules.keys())
  const answersUnknown = (defaultReturn & 0xffff0000) === RET_ERRNO
  const leaves: Leaf[] = []
  for (const number of [...rules.keys()].sort((a, b) => a - b)) {
    const code = ruleCode(rules.get(number) ?? [], defaultReturn)
    const before = leaves.at(-1)
    const gap = before ? before.last + 1 : 0
    if (gap < number) addLeaf(leaves, { first: gap, last: number - 1, code: [at(RETURN, defaultReturn)] })
    addLeaf(leaves, { first: number, last: number, code })
  }
  // A call that did not exist when the profile was written must look as if the kernel did not have it: libc then
  // falls back, whereas EPERM would be taken for an answer. x32 calls (bit 30) are beyond every number as well.
  const beyond = answersUnknown ? RET_ERRNO | ENOSYS : defaultReturn
  addLeaf(leaves, { first: newest + 1, last: 0xffffffff, code: [at(RETURN, beyond)] })
  return [
    at(LOAD, 4),
    at(JUMP_EQUAL, auditArchitecture[architecture], 1, 0),
    at(RETURN, RET_ERRNO | ENOSYS),
    at(LOAD, 0),
    ...search(leaves),
  ]
}

/** A run of call numbers that one piece of code decides. */
interface Leaf {
  first: number
  last: number
  code: Instruction[]
}

function addLeaf(leaves: Leaf[], leaf: Leaf): void {
  const before = leaves.at(-1)
  const same = before?.code.length === 1 && leaf.code.length === 1 && before.code[0]?.k === leaf.code[0]?.k
  if (before && same) before.last = leaf.last
  else leaves.push(leaf)
}

/** Binary search: a jump in classic BPF reaches 255 instructions, so the far half is reached by an absolute one. */
function search(leaves: readonly Leaf[]): Instruction[] {
  const [only] = leaves
  if (leaves.length === 1 && only) return only.code
  const middle = leaves.length >> 1
  const low = search(leaves.slice(0, middle))
  const high = search(leaves.slice(middle))
  const first = leaves[middle]?.first ?? 0
  return [at(JUMP_GREATER_EQUAL, first, 0, 1), at(JUMP, low.length), ...low, ...high]
}

function rulesByNumber(profile: OciSeccomp, architecture: Architecture): Map<number, OciSeccompRule[]> {
  const rules = new Map<number, OciSeccompRule[]>()
  for (const rule of profile.syscalls ?? []) {
    for (const name of rule.names) {
      // A name of another architecture, or newer than our table, is no error: profiles list them all.
      const number = syscallNumber(name, architecture)
      if (number !== undefined) rules.set(number, [...(rules.get(number) ?? []), rule])
    }
  }
  return rules
}

/** The rules of one call in their order, the conditional ones first; what none decides gets the default. */
function ruleCode(rules: readonly OciSeccompRule[], defaultReturn: number): Instruction[] {
  const code: Instruction[] = []
  for (const rule of rules.filter(({ args }) => args && args.length > 0)) {
    let body = [at(RETURN, returnValue(rule.action, rule.errnoRet))]
    for (const argument of (rule.args ?? []).toReversed()) body = condition(argument, body)
    code.push(...body)
  }
  const always = rules.find(({ args }) => !args || args.length === 0)
  return [...code, at(RETURN, always ? returnValue(always.action, always.errnoRet) : defaultReturn)]
}

type Argument = NonNullable<OciSeccompRule['args']>[number]

/** `body` if the argument fits, else past it. Arguments are compared in halves: classic BPF has 32-bit words. */
function condition(argument: Argument, body: Instruction[]): Instruction[] {
  const { index, op, value, valueTwo = 0 } = argument
  if (!(index >= 0 && index <= 5)) throw specInvalid('linux.seccomp.syscalls.args', `there is no argument ${index}`)
  const low = 16 + index * 8
  const halves = (number: number) => {
    const bits = BigInt.asUintN(64, BigInt(number))
    return [Number(bits >> 32n), Number(bits & 0xffffffffn)] as const
  }
  const [high, rest] = halves(op === 'SCMP_CMP_MASKED_EQ' ? valueTwo : value)
  const past = body.length
  const equal = [at(LOAD, low + 4), at(JUMP_EQUAL, high, 0, past + 2), at(LOAD, low), at(JUMP_EQUAL, rest, 0, past)]
  /** `code` on the high half decides when they differ; else `code` on the low half does. Negated: jump past on true. */
  const ordered = (strict: number, negated: boolean) => [
    at(LOAD, low + 4),
    negated ? at(JUMP_GREATER, high, past + 3, 0) : at(JUMP_GREATER, high, 3, 0),
    negated ? at(JUMP_EQUAL, high, 0, 2) : at(JUMP_EQUAL, high, 0, past + 2),
    at(LOAD, low),
    negated ? at(strict, rest, past, 0) : at(strict, rest, 0, past),
  ]
  switch (op) {
    case 'SCMP_CMP_EQ':
      return [...equal, ...body]
    case 'SCMP_CMP_NE':
      return [at(LOAD, low + 4), at(JUMP_EQUAL, high, 0, 2), at(LOAD, low), at(JUMP_EQUAL, rest, past, 0), ...body]
    case 'SCMP_CMP_MASKED_EQ': {
      const [maskHigh, maskLow] = halves(value)
      const masked = [at(LOAD, low + 4), at(AND, maskHigh), at(JUMP_EQUAL, high, 0, past + 3)]
      return [...masked, at(LOAD, low), at(AND, maskLow), at(JUMP_EQUAL, rest, 0, past), ...body]
    }
    case 'SCMP_CMP_GT':
      return [...ordered(JUMP_GREATER, false), ...body]
    case 'SCMP_CMP_GE':
      return [...ordered(JUMP_GREATER_EQUAL, false), ...body]
    case 'SCMP_CMP_LT':
      return [...ordered(JUMP_GREATER_EQUAL, true), ...body]
    case 'SCMP_CMP_LE':
      return [...ordered(JUMP_GREATER, true), ...body]
    default:
      throw specInvalid('linux.seccomp.syscalls.args', `${String(op)} is not an operator`)
  }
}

function returnValue(action: SeccompAction, errno = 1): number {
  switch (action) {
    case 'SCMP_ACT_ALLOW':
      return 0x7fff0000
    case 'SCMP_ACT_ERRNO':
      return RET_ERRNO | (errno & 0xffff)
    case 'SCMP_ACT_KILL':
    case 'SCMP_ACT_KILL_THREAD':
      return 0
    case 'SCMP_ACT_KILL_PROCESS':
      return 0x80000000 | 0
    case 'SCMP_ACT_TRAP':
      return 0x00030000
    case 'SCMP_ACT_LOG':
      return 0x7ffc0000
    case 'SCMP_ACT_TRACE':
      return 0x7ff00000 | (errno & 0xffff)
    default:
      throw specUnsupported('linux.seccomp', `action ${String(action)} is not supported yet`)
  }
}
