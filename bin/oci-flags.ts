import { CoracleError } from '../runtime/base/errors.ts'

/** Flags as lines of help: `-b, --bundle <path>  folder with config.json`; `<name>...` may be given several times. */
export type FlagLines = readonly string[]

/** What was given, by long name. */
export class Flags {
  readonly #given = new Map<string, string[]>()

  add(name: string, value: string): void {
    this.#given.set(name, [...(this.#given.get(name) ?? []), value])
  }

  has(name: string): boolean {
    return this.#given.has(name)
  }

  /** The last value that was given. */
  text(name: string): string | undefined {
    return this.#given.get(name)?.at(-1)
  }

  all(name: string): readonly string[] {
    return this.#given.get(name) ?? []
  }

  /** A whole number, such as 0 or -1. Throws USAGE. */
  number(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined) return undefined
    if (!/^-?\d+$/.test(text)) throw invalid(name, text, 'not a whole number')
    return Number(text)
  }

  /** Bytes as runc reads them: `512`, `64m`, `1.5 GiB` in powers of 1024, or `-1`. Throws USAGE. */
  bytes(name: string): number | undefined {
    const text = this.text(name)
    if (text === undefined || text === '-1') return text === undefined ? undefined : Number(text)
    const [, amount = '', unit = ''] = /^(\d+(?:\.\d+)?) ?(?:([kmgtp])i?)?b?$/i.exec(text) ?? []
    if (amount === '') throw invalid(name, text, 'no amount of bytes, such as 512 or 64m')
    return Math.floor(Number(amount) * 1024 ** ' kmgtp'.indexOf(unit.toLowerCase() || ' '))
  }
}

export interface Parsed {
  flags: Flags
  args: string[]
}

function invalid(name: string, text: string, reason: string): CoracleError {
  return usage(`invalid value ${JSON.stringify(text)} for flag -${name}: ${reason}`)
}

/** An error of the command line itself. */
export function usage(reason: string): CoracleError {
  return new CoracleError(reason, { code: 'USAGE' })
}

interface Flag {
  name: string
  takesValue: boolean
}

/**
 * Splits a command line into flags and arguments as runc's own parser does: one dash or two, `--flag value` or
 * `--flag=value`, `--` ends the flags. `flagsEnd` counts the arguments after which nothing is a flag any more; without it flags
 * and arguments may be mixed. Throws USAGE.
 */
export function parseFlags(words: readonly string[], lines: FlagLines, flagsEnd = Number.POSITIVE_INFINITY): Parsed {
  const known = flagsByName(lines)
  const flags = new Flags()
  const args: string[] = []
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? ''
    if (word === '--' && args.length < flagsEnd) {
      args.push(...words.slice(at + 1))
      break
    }
    const match = args.length < flagsEnd ? /^--?([A-Za-z0-9][\w-]*)(?:=(.*))?$/s.exec(word) : null
    if (!match) {
      args.push(word)
      continue
    }
    const [, given = '', attached] = match
    const flag = known.get(given)
    if (!flag) throw usage(`flag provided but not defined: -${given}`)
    if (!flag.takesValue) {
      if (attached !== 'false') flags.add(flag.name, 'true')
      continue
    }
    const value = attached ?? words[++at]
    if (value === undefined) throw usage(`flag needs an argument: -${given}`)
    flags.add(flag.name, value)
  }
  return { flags, args }
}

function flagsByName(lines: FlagLines): Map<string, Flag> {
  const known = new Map<string, Flag>()
  for (const line of lines) {
    const [, short, name = '', value] = /^(?:-(\w), )?--([\w-]+)( <[^>]+>)?/.exec(line) ?? []
    const flag = { name, takesValue: value !== undefined }
    known.set(name, flag)
    if (short) known.set(short, flag)
  }
  return known
}
