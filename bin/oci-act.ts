import { readFileSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { CoracleError, messageOf } from '../runtime/base/errors.ts'
import type { Workplace } from '../runtime/container/player.ts'
import { parseSpec } from '../runtime/spec/exact-json.ts'
import type { OciSpec } from '../runtime/spec/types.ts'

/** Where the commands work, from the global options. */
export type Place = () => Workplace
/** Makes a commander action of an act. */
export type Act = <Args extends unknown[]>(
  perform: (...args: Args) => Promise<number> | Promise<void> | void,
) => (...args: Args) => Promise<void>

/** Whatever is thrown becomes one line, exit code 1, and a record in the log that engines read. */
export function acting<Args extends unknown[]>(
  perform: (...args: Args) => Promise<number> | Promise<void> | void,
  oci: Command,
): (...args: Args) => Promise<void> {
  return async (...args) => {
    try {
      process.exit((await perform(...args)) ?? 0)
    } catch (error) {
      report(error, oci.opts())
      process.exit(1)
    }
  }
}

/** The bundle's config.json, parsed. */
export function specOf(bundle: string): OciSpec {
  return parseSpec(readFileSync(`${bundle}/config.json`, 'utf8'))
}

/** An error of the command line itself. */
export function usage(reason: string): CoracleError {
  return new CoracleError(reason, { code: 'USAGE' })
}

/** A line, or several, on standard output. */
export function print(text: string): void {
  writeFileSync(1, `${text}\n`)
}

/** A line on standard error. */
export function warn(message: string): void {
  writeFileSync(2, `warning: ${message}\n`)
}

function report(error: unknown, { log, logFormat }: { log?: string; logFormat?: string }): void {
  const message = messageOf(error)
  writeFileSync(2, `coracle oci: ${message}\n`)
  if (!log) return
  const entry = { level: 'error', msg: message, time: new Date().toISOString() }
  const line =
    logFormat === 'json' ? JSON.stringify(entry) : `time="${entry.time}" level=error msg=${JSON.stringify(message)}`
  writeFileSync(log, `${line}\n`, { flag: 'a' })
}
