/*
 * An OCI seccomp profile as a classic BPF program (seccomp(2), Documentation/userspace-api/seccomp_filter.rst), in the
 * sense that libseccomp and runc give it:
 *   - a rule whose answer is the default's is as if it were not there;
 *   - a rule without conditions beats all with conditions for its call, and the first of them the later ones;
 *   - of rules with conditions the first that holds decides (libseccomp leaves that order open);
 *   - names that an architecture, or our table, does not have are passed over;
 *   - a call beyond the newest that the profile names is one that its author cannot have known: unless the default lets
 *     calls pass, it answers ENOSYS, so that libc falls back as on an older kernel (runc's patchbpf);
 *   - an architecture that is not listed ends the thread; the machine's own is always listed.
 * NOT IMPLEMENTED: machines other than x86-64 and arm64.
 */
import { type CallArchitecture, callNumber, x32Bit } from '../../linux/foreign-syscalls.ts'
import type { Architecture } from '../../linux/syscall-numbers.ts'
import { specInvalid } from '../../spec/errors.ts'
import type { OciSeccomp } from '../../spec/types.ts'
import { carriedRules } from './multiplexed.ts'
import { type CheckedProfile, checkProfile, type Rule, returns } from './profile.ts'
import { answer, assemble, type Instruction, type Leaf, mostInstructions, type Section, when } from './program.ts'

export interface CompiledFilter {
  program: readonly Instruction[]
  /** For seccomp(2). */
  flags: number
  /** seccomp(2) answers with a listener's descriptor. */
  notifies: boolean
}

const audit: Readonly<Record<Exclude<CallArchitecture, 'x32'>, number>> = {
  x64: 0xc000003e,
  x86: 0x40000003,
  arm64: 0xc00000b7,
  arm: 0x40000028,
}
/** What each machine's kernel can run besides its own programs, by the profile's names. */
const foreign: Readonly<Record<Architecture, Readonly<Record<string, CallArchitecture>>>> = {
  x64: { SCMP_ARCH_X86: 'x86', SCMP_ARCH_X32: 'x32' },
  arm64: { SCMP_ARCH_ARM: 'arm' },
}
const ENOSYS = 38
const highest = 0xffffffff
/** ARM's own calls for cache and thread pointer lie far above all others and say nothing of a profile's age. */
const armPrivate = 0xf0000
/** ALLOW, LOG and TRACE; whoever traces answers for newer calls too. */
const firstLettingPass = 0x7ff00000

/** The profile as BPF. Throws SPEC_INVALID for what it cannot express. */
export function compileSeccomp(profile: OciSeccomp, architecture: Architecture): CompiledFilter {
  const checked = checkProfile(profile)
  const listed = new Set(checked.architectures.flatMap((name) => foreign[architecture][name] ?? []))
  const own: Section = { audit: audit[architecture], leaves: nativeLeaves(checked, architecture, listed.has('x32')) }
  const others = [...listed].flatMap((name): Section[] =>
    name === 'x32' ? [] : [{ audit: audit[name], leaves: merged(callLeaves(checked, name, 0)) }],
  )
  const program = assemble([own, ...others], returns.KILL_THREAD)
  if (program.length > mostInstructions) {
    const reason = `makes a program of ${program.length} instructions; the kernel takes ${mostInstructions}`
    throw specInvalid('linux.seccomp.syscalls', reason)
  }
  return { program, flags: checked.flags, notifies: checked.notifies }
}

/**
 * x32 calls come under x86-64's audit number with bit 30 set. Where x32 is not listed they end the thread like any other
 * architecture, but -1 does not: a tracer has put it there to skip a call.
 */
function nativeLeaves(profile: CheckedProfile, architecture: Architecture, hasX32: boolean): Leaf[] {
  const own = callLeaves(profile, architecture, 0)
  if (architecture === 'arm64') return merged(own)
  const x32 = hasX32
    ? callLeaves(profile, 'x32', x32Bit)
    : [
        { first: x32Bit, code: answer(returns.KILL_THREAD) },
        { first: highest, code: answer(profile.otherwise) },
      ]
  return merged([...own, ...x32])
}

/** Every number of one architecture from `start` on, without holes. */
function callLeaves(profile: CheckedProfile, architecture: CallArchitecture, start: number): Leaf[] {
  const { otherwise } = profile
  const named = rulesByNumber(profile, architecture)
  const newest = Math.max(-1, ...[...named.keys()].filter((number) => architecture === 'x32' || number < armPrivate))
  const isStrict = otherwise >>> 0 < firstLettingPass || otherwise >>> 0 > returns.ALLOW
  const beyond = isStrict && newest > 0 ? returns.ERRNO | ENOSYS : otherwise
  const leaves: Leaf[] = []
  let next = start
  for (const number of [...named.keys()].sort((a, b) => a - b)) {
    if (next < number) leaves.push({ first: next, code: answer(next > newest ? beyond : otherwise) })
    leaves.push({ first: number, code: ruleCode(named.get(number) ?? [], otherwise, architecture) })
    next = number + 1
  }
  return [...leaves, { first: next, code: answer(beyond) }]
}

/** Neighbours with the same plain answer become one. */
function merged(leaves: readonly Leaf[]): Leaf[] {
  const kept: Leaf[] = []
  for (const leaf of leaves) {
    const before = kept.at(-1)?.code
    const same = before?.length === 1 && leaf.code.length === 1 && before[0]?.k === leaf.code[0]?.k
    if (!same) kept.push(leaf)
  }
  return kept
}

/** By number, the rules that name it; also those that say no more than the default, for they tell the profile's age. */
function rulesByNumber(profile: CheckedProfile, architecture: CallArchitecture): Map<number, Rule[]> {
  const found = new Map<number, Rule[]>()
  const add = (number: number, rules: readonly Rule[]) => {
    const known = found.get(number)
    if (known) known.push(...rules)
    else found.set(number, [...rules])
  }
  for (const rule of profile.rules) {
    for (const name of rule.names) {
      const number = callNumber(name, architecture)
      if (number !== undefined) add(number, [rule])
    }
  }
  if (architecture !== 'x86') return found
  for (const [number, rules] of carriedRules(profile.rules, profile.otherwise)) add(number, rules)
  return found
}

function ruleCode(rules: readonly Rule[], otherwise: number, architecture: CallArchitecture): Instruction[] {
  const telling = rules.filter((rule) => rule.answer !== otherwise)
  const always = telling.find(({ conditions }) => conditions.length === 0)
  if (always) return answer(always.answer)
  const bits = architecture === 'x64' || architecture === 'arm64' ? 64 : 32
  const code = telling.flatMap((rule) =>
    rule.conditions.reduceRight((body, condition) => when({ ...condition, bits }, body), answer(rule.answer)),
  )
  return [...code, ...answer(otherwise)]
}
