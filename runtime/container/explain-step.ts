import { release } from 'node:os'
import { CoracleError, hasCode } from '../base/errors.ts'
import { FSCONFIG_CMD_CREATE, FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING } from '../linux/constants.ts'
import { type FilesystemSetting, filesystemComplaint } from '../linux/filesystem-context.ts'
import { isAtLeast } from '../linux/kernel-features.ts'
import { type Report, stepError } from '../tape/play.ts'
import { type Arg, type Entry, isResult, type SyscallTape } from '../tape/syscall-tape.ts'

/** Why a birth has failed: the step, or, when the kernel has killed it without a word, what is likely. Others stay as they are. */
export function explainBirth(error: unknown, tape: SyscallTape, memoryLimit: number | undefined): unknown {
  if (!hasCode(error, 'PLAY_FAILED')) return error
  if (error.facts.index !== undefined) return explainStep(tape, error.facts as unknown as Report)
  if (memoryLimit === undefined || memoryLimit < 0 || memoryLimit > littleMemoryBytes) return error
  const reason = `linux.resources.memory.limit of ${memoryLimit} bytes is likely to be too low for it`
  return new CoracleError(`play tape: the process was killed before it was ready: ${reason}`, {
    code: error.code,
    facts: { ...error.facts, memoryLimit },
    cause: error,
  })
}

/** The error of a failed step; of a mount that was refused, with the filesystem's own words. */
export function explainStep(tape: SyscallTape, report: Report): CoracleError {
  const failed = stepError(tape, report)
  const entry = tape.entries[report.index]
  const complaint = entry?.name === 'fsconfig' ? (tooOld(entry) ?? complaintOf(tape, report.index, entry)) : undefined
  if (complaint === undefined) return failed
  return new CoracleError(`${failed.message}: ${complaint}`, {
    code: failed.code,
    facts: { ...failed.facts, complaint },
    cause: failed,
  })
}

/** Layers of an overlay one by one are younger than our oldest kernel; it says only EINVAL or EOPNOTSUPP. */
function tooOld({ args: [, command, key] }: Entry): string | undefined {
  if (textOf(key) !== 'lowerdir+') return undefined
  const [major, minor] = numberOf(command) === FSCONFIG_SET_STRING ? [6, 5] : [6, 13]
  return isAtLeast(major, minor) ? undefined : `this overlay needs Linux ${major}.${minor}, here is ${release()}`
}

/** A birth needs less than this. */
const littleMemoryBytes = 4 * 1024 * 1024

function complaintOf(tape: SyscallTape, index: number, failed: Entry): string | undefined {
  const context = failed.args[0]
  if (context === undefined || context === null || !isResult(context)) return undefined
  const type = textOf(tape.entries[context.entry]?.args[0])
  const own = tape.entries.slice(context.entry, index + 1).filter(({ name, args: [of] }) => {
    return name === 'fsconfig' && of !== undefined && isResult(of) && of.entry === context.entry
  })
  const settings = own.map(({ args: [, command, key, value] }): FilesystemSetting => {
    return { command: numberOf(command), key: textOf(key), value: textOf(value) }
  })
  const known = settings.every(({ command }) =>
    [FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_CMD_CREATE].includes(command),
  )
  // To make it is to make it for the host: only what then holds nothing and is gone at once is tried again.
  const isHarmless =
    failed.args[1] === undefined || numberOf(failed.args[1]) !== FSCONFIG_CMD_CREATE || type === 'overlay'
  return type !== null && known && isHarmless ? filesystemComplaint(type, settings) : undefined
}

function numberOf(arg: Arg | undefined): number {
  return typeof arg === 'object' && arg !== null && 'value' in arg ? Number(arg.value) : Number(arg)
}

/** The text behind a pointer; a listing shows it as JSON. */
function textOf(arg: Arg | undefined): string | null {
  if (typeof arg !== 'object' || arg === null || !('at' in arg)) return null
  return JSON.parse(typeof arg.shown === 'string' ? arg.shown : arg.shown()) as string
}
