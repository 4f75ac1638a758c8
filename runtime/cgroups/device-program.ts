import { closeSync, openSync } from 'node:fs'
import { messageOf } from '../base/errors.ts'
import { attachDeviceProgram, loadDeviceProgram } from '../linux/bpf.ts'
import { inUserNamespace } from '../linux/host.ts'
import type { OciDeviceRule } from '../spec/types.ts'
import { allAccess, type DeviceRule, deviceRules, isForAll } from './device-rules.ts'
import { cgroupFailed } from './errors.ts'

/*
 * cgroup v2 has no file for devices: whether a process may use one is asked of a BPF program at its group and of those
 * at all groups above, and all must answer 1. The program is given
 *
 *     struct bpf_cgroup_dev_ctx {
 *       u32 access_type;            // access << 16 | type
 *       u32 major, minor;
 *     }
 *
 * in r1 (include/uapi/linux/bpf.h). Ours keeps in r2 the access that is not yet decided, in r3 type, in r4 major and in
 * r5 minor, and walks the rules from the last to the first.
 */

/** Opcodes of BPF (Documentation/bpf/standardization/instruction-set.rst) as far as we use them, all with an immediate. */
export const opcodes = {
  loadWord: 0x61,
  move: 0xb7,
  moveRegister: 0xbf,
  and: 0x57,
  shiftRight: 0x77,
  jump: 0x05,
  jumpNotEqual: 0x55,
  jumpIfBits: 0x45,
  exit: 0x95,
} as const

interface Instruction {
  opcode: number
  target?: number
  source?: number
  offset?: number
  immediate?: number
}

const answer = (allowed: boolean): Instruction[] => [
  { opcode: opcodes.move, target: 0, immediate: allowed ? 1 : 0 },
  { opcode: opcodes.exit },
]

/** The program that decides by `rules`: for each wanted access the last rule that matches, and allowed where none does. */
export function deviceProgram(rules: readonly DeviceRule[]): Buffer {
  const start: Instruction[] = [
    { opcode: opcodes.loadWord, target: 2, source: 1, offset: 0 },
    { opcode: opcodes.moveRegister, target: 3, source: 2 },
    { opcode: opcodes.and, target: 3, immediate: 0xffff },
    { opcode: opcodes.shiftRight, target: 2, immediate: 16 },
    { opcode: opcodes.loadWord, target: 4, source: 1, offset: 4 },
    { opcode: opcodes.loadWord, target: 5, source: 1, offset: 8 },
    // Nothing wanted, nothing to deny.
    { opcode: opcodes.jumpNotEqual, target: 2, offset: 2, immediate: 0 },
    ...answer(true),
  ]
  // The verifier refuses what cannot be reached: nothing may follow a rule that always decides.
  const last = rules.findLastIndex(isForAll)
  const decisive = rules.slice(Math.max(0, last)).toReversed()
  return encode([...start, ...decisive.flatMap(blockOf), ...(last < 0 ? answer(true) : [])])
}

/** One rule: what must be so for it to match, then what it decides. What it leaves open falls through to the next. */
function blockOf({ allow, type, major, minor, access }: DeviceRule): Instruction[] {
  const verdict = allow ? allowing(access) : denying(access)
  const tests: [register: number, value: number][] = []
  if (type !== 'a') tests.push([3, type === 'b' ? 1 : 2])
  if (major !== undefined) tests.push([4, major])
  if (minor !== undefined) tests.push([5, minor])
  const guards = tests.map(([target, immediate], at) => ({
    opcode: opcodes.jumpNotEqual,
    target,
    offset: tests.length - at - 1 + verdict.length,
    immediate,
  }))
  return [...guards, ...verdict]
}

function allowing(access: number): Instruction[] {
  if (access === allAccess) return answer(true)
  return [
    { opcode: opcodes.and, target: 2, immediate: allAccess & ~access },
    { opcode: opcodes.jumpNotEqual, target: 2, offset: 2, immediate: 0 },
    ...answer(true),
  ]
}

function denying(access: number): Instruction[] {
  if (access === allAccess) return answer(false)
  return [
    { opcode: opcodes.jumpIfBits, target: 2, offset: 1, immediate: access },
    { opcode: opcodes.jump, offset: 2 },
    ...answer(false),
  ]
}

function encode(instructions: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(8 * instructions.length)
  instructions.forEach(({ opcode, target = 0, source = 0, offset = 0, immediate = 0 }, at) => {
    bytes.writeUInt8(opcode, 8 * at)
    bytes.writeUInt8((source << 4) | target, 8 * at + 1)
    bytes.writeInt16LE(offset, 8 * at + 2)
    bytes.writeInt32LE(immediate, 8 * at + 4)
  })
  return bytes
}

/**
 * Enforces device rules at the v2 group `folder`; without rules nothing changes. Returns a warning where that is not
 * possible and cannot be: inside a user namespace, which may use no device of its own making anyway
 * (user_namespaces(7)). Throws CGROUP_FAILED everywhere else: a container that must not use devices must not start.
 */
export function enforceDeviceRules(folder: string, asked: readonly OciDeviceRule[] | undefined): string[] {
  const rules = deviceRules(asked)
  if (rules.length === 0) return []
  const group = openSync(folder, 'r')
  let program: number | undefined
  try {
    program = loadDeviceProgram(deviceProgram(rules), 'coracle_devices')
    attachDeviceProgram(group, program)
    return []
  } catch (error) {
    if (!inUserNamespace()) throw cgroupFailed(`enforce linux.resources.devices at ${folder}`, error)
    return [`linux.resources.devices is not enforced in a user namespace: ${messageOf(error)}`]
  } finally {
    if (program !== undefined) closeSync(program)
    closeSync(group)
  }
}
