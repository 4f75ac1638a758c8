/** Classic BPF as seccomp(2) takes it (linux/bpf_common.h, linux/filter.h): one instruction. */
export interface Instruction {
  code: number
  jumpTrue: number
  jumpFalse: number
  k: number
}

/** BPF_LD | BPF_W | BPF_ABS, BPF_JMP | …, BPF_ALU | BPF_AND, BPF_RET. */
const LOAD = 0x20
const JUMP = 0x05
const JUMP_EQUAL = 0x15
const JUMP_GREATER = 0x25
const JUMP_GREATER_EQUAL = 0x35
const AND = 0x54
const RETURN = 0x06
const longestConditionalJump = 255

/** BPF_MAXINSNS: the kernel takes no longer program. */
export const mostInstructions = 4096

/** Offsets in `struct seccomp_data`; the low half of an argument comes first on the little-endian machines that we know. */
const offsets = { number: 0, architecture: 4, arguments: 16 }

const at = (code: number, k: number, jumpTrue = 0, jumpFalse = 0): Instruction => ({ code, k, jumpTrue, jumpFalse })

/** Ends the program with a SECCOMP_RET_ value. */
export const answer = (value: number): Instruction[] => [at(RETURN, value)]

/** A run of call numbers that one piece of code decides. */
export interface Leaf {
  first: number
  code: Instruction[]
}

export interface Section {
  /** AUDIT_ARCH_*, linux/audit.h. */
  audit: number
  /** Ascending; the first begins at 0, the last goes on to 2^32 - 1. */
  leaves: readonly Leaf[]
}

/** One program: by architecture, then by number in a binary search; any other architecture gets `elsewhere`. */
export function assemble(sections: readonly Section[], elsewhere: number): Instruction[] {
  const bodies = sections.map(({ leaves }) => [at(LOAD, offsets.number), ...search(leaves)])
  const head: Instruction[] = [at(LOAD, offsets.architecture)]
  let before = 0
  sections.forEach(({ audit }, index) => {
    const stillToCome = 2 * (sections.length - index - 1) + 1
    head.push(at(JUMP_EQUAL, audit, 0, 1), at(JUMP, stillToCome + before))
    before += bodies[index]?.length ?? 0
  })
  return [...head, ...answer(elsewhere), ...bodies.flat()]
}

/** The kernel's `struct sock_filter[]`. */
export function programBytes(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8)
  program.forEach(({ code, jumpTrue, jumpFalse, k }, index) => {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(jumpTrue, index * 8 + 2)
    bytes.writeUInt8(jumpFalse, index * 8 + 3)
    bytes.writeUInt32LE(k >>> 0, index * 8 + 4)
  })
  return bytes
}

/** A conditional jump of classic BPF reaches 255 instructions; a farther half is reached by an unconditional one. */
function search(leaves: readonly Leaf[]): Instruction[] {
  const [only] = leaves
  if (leaves.length === 1 && only) return only.code
  const middle = leaves.length >> 1
  const low = search(leaves.slice(0, middle))
  const high = search(leaves.slice(middle))
  const first = leaves[middle]?.first ?? 0
  return low.length <= longestConditionalJump
    ? [at(JUMP_GREATER_EQUAL, first, low.length, 0), ...low, ...high]
    : [at(JUMP_GREATER_EQUAL, first, 0, 1), at(JUMP, low.length), ...low, ...high]
}

export type Comparison = 'NE' | 'LT' | 'LE' | 'EQ' | 'GE' | 'GT' | 'MASKED_EQ'

export interface Test {
  argument: number
  comparison: Comparison
  value: bigint
  /** For MASKED_EQ alone; all ones otherwise. */
  mask: bigint
  /** 32-bit programs have 32-bit arguments: there only the low half counts, in the value as well. */
  bits: 32 | 64
}

/** `body` if the test holds, else on past it. `body` has to be shorter than 250 instructions. */
export function when(test: Test, body: Instruction[]): Instruction[] {
  return test.bits === 32 ? whenLow(test, body) : whenWhole(test, body)
}

const load = ({ argument }: Test, half: 'low' | 'high') =>
  at(LOAD, offsets.arguments + argument * 8 + (half === 'high' ? 4 : 0))

const low32 = (value: bigint) => Number(value & 0xffffffffn)
const high32 = (value: bigint) => Number((value >> 32n) & 0xffffffffn)

function whenLow(test: Test, body: Instruction[]): Instruction[] {
  const k = low32(test.value)
  const past = body.length
  const masked = test.comparison === 'MASKED_EQ' ? [at(AND, low32(test.mask))] : []
  return [load(test, 'low'), ...masked, decide(test.comparison, k, past), ...body]
}

/** The last word on a half: into the body or past it. */
function decide(comparison: Comparison, k: number, past: number): Instruction {
  switch (comparison) {
    case 'EQ':
    case 'MASKED_EQ':
      return at(JUMP_EQUAL, k, 0, past)
    case 'NE':
      return at(JUMP_EQUAL, k, past, 0)
    case 'GT':
      return at(JUMP_GREATER, k, 0, past)
    case 'GE':
      return at(JUMP_GREATER_EQUAL, k, 0, past)
    case 'LE':
      return at(JUMP_GREATER, k, past, 0)
    case 'LT':
      return at(JUMP_GREATER_EQUAL, k, past, 0)
  }
}

/** 64 bits in two halves, for classic BPF has 32-bit words: where the high halves differ they decide, else the low ones. */
function whenWhole(test: Test, body: Instruction[]): Instruction[] {
  const { comparison, value, mask } = test
  const past = body.length
  const high = high32(value)
  const lowHalf = [load(test, 'low'), decide(comparison, low32(value), past)]
  switch (comparison) {
    case 'EQ':
      return [load(test, 'high'), at(JUMP_EQUAL, high, 0, past + 2), ...lowHalf, ...body]
    case 'MASKED_EQ': {
      const highHalf = [load(test, 'high'), at(AND, high32(mask)), at(JUMP_EQUAL, high, 0, past + 3)]
      return [...highHalf, load(test, 'low'), at(AND, low32(mask)), at(JUMP_EQUAL, low32(value), 0, past), ...body]
    }
    case 'NE':
      return [load(test, 'high'), at(JUMP_EQUAL, high, 0, 2), ...lowHalf, ...body]
    case 'GT':
    case 'GE':
      return [load(test, 'high'), at(JUMP_GREATER, high, 3, 0), at(JUMP_EQUAL, high, 0, past + 2), ...lowHalf, ...body]
    case 'LT':
    case 'LE':
      return [load(test, 'high'), at(JUMP_GREATER, high, past + 3, 0), at(JUMP_EQUAL, high, 0, 2), ...lowHalf, ...body]
  }
}
