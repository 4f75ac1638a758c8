import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type CoracleError, messageOf } from '../runtime/base/errors.ts'
import type { Workplace } from '../runtime/container/player.ts'
import { parseSpec } from '../runtime/spec/exact-json.ts'
import type { OciSpec } from '../runtime/spec/types.ts'
import type { FlagLines, Flags } from './oci-flags.ts'
import { usage } from './oci-flags.ts'

export { usage } from './oci-flags.ts'

/** One verb of the command line; each file of verbs is loaded only when one of its verbs is asked for. */
export interface Verb {
  /** Its arguments, as help shows them. */
  args: string
  does: string
  flags: FlagLines
  /** How many arguments there may be. */
  takes: readonly [least: number, most: number]
  /** Exit code of a failure of ours; 1 unless given. */
  failsWith?: number
  /** After so many arguments nothing is a flag any more. */
  flagsEnd?: number
  /** The answer is the exit code, 0 if there is none. */
  act(call: Call): Promise<number> | Promise<void> | number | void
}

/** A verb as it was called. */
export interface Call {
  /** Folder of the containers' state, absolute. */
  root: string
  args: readonly string[]
  flags: Flags
  global: Flags
  warn: (message: string) => void
}

/** The container id, the first argument of nearly every verb. */
export function idOf({ args }: Call): string {
  return args[0] ?? ''
}

/** Where a verb works that plays no tape of its own. */
export async function placeOf({ root, warn }: Call): Promise<Workplace> {
  const { localPlayer } = await import('../runtime/container/local-player.ts')
  return { root, player: localPlayer({ root }), environment: environment(), warn }
}

/** `place` for a verb whose container has ended, or ends with it: nobody else writes to our standard error then. */
export function warningAloud<P extends Pick<Workplace, 'warn'>>(place: P, { global }: Call): P {
  return { ...place, warn: (message: string) => report('warning', message, global, { containerHasEnded: true }) }
}

/** Our own, without what the program of this name adds for Node. */
export function environment(): string[] {
  const { NODE_COMPILE_CACHE: _ours, ...theirs } = process.env
  return Object.entries(theirs).map(([name, value]) => `${name}=${value}`)
}

/** The bundle's config.json, or another file of it, parsed. */
export function specOf(bundle: string, file = 'config.json'): OciSpec {
  return parseSpec(readFileSync(resolve(bundle, file), 'utf8'))
}

/** A file's text; `-` is standard input. */
export function inputOf(file: string): string {
  return readFileSync(file === '-' ? 0 : file, 'utf8')
}

/** A line, or several, on standard output. */
export function print(text: string): void {
  writeFileSync(1, `${text}\n`)
}

/** The one of `formats` that `--format` names. Throws USAGE. */
export function formatOf(flags: Flags, formats: readonly string[] = ['table', 'json']): string {
  const format = flags.text('format') ?? formats[0] ?? ''
  if (!formats.includes(format)) throw usage(`invalid format option: ${format} is none of ${formats.join(', ')}`)
  return format
}

type Level = 'error' | 'warning'

/**
 * What went wrong, in the form that engines read: one line on standard error, and one in the file of `--log`, as text or, with
 * `--log-format json`, as JSON.
 */
export function report(level: Level, message: string, global: Flags, how: { containerHasEnded?: boolean } = {}): void {
  const time = new Date().toISOString().replace(/\.\d+Z$/, 'Z')
  const isJson = global.text('log-format') === 'json'
  const line = isJson
    ? JSON.stringify({ level, msg: message, time })
    : `time=${JSON.stringify(time)} level=${level} msg=${JSON.stringify(message)}`
  const log = global.text('log')
  if (log) writeLog(log, `${line}\n`)
  // Our standard error is the container's own: a warning goes there only where a person reads it.
  if (level === 'error') writeFileSync(2, `${isJson && !log ? line : `coracle oci: ${message}`}\n`)
  else if (!log && (how.containerHasEnded || global.has('debug') || process.stderr.isTTY))
    writeFileSync(2, `coracle oci: warning: ${message}\n`)
}

/** Also of a log that cannot be written to: that is what is being told then. */
function writeLog(log: string, text: string): void {
  try {
    writeFileSync(log, text, { flag: 'a' })
  } catch (error) {
    writeFileSync(2, `coracle oci: --log ${log}: ${messageOf(error)}\n`)
  }
}

/** The file of `--log` is there from the beginning, as with runc: engines look into it. Throws USAGE. */
export function openLog(global: Flags): void {
  const log = global.text('log')
  if (!log) return
  try {
    writeFileSync(log, '', { flag: 'a' })
  } catch (error) {
    throw usage(`--log ${log} cannot be written: ${messageOf(error)}`)
  }
}

/** An error as one line: its message and what can be done about it. */
export function lineOf(error: unknown): string {
  const { hint } = error as Partial<CoracleError>
  return hint === undefined ? messageOf(error) : `${messageOf(error)} (${hint})`
}
