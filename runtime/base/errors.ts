/** Facts about a failure as plain data: they cross process boundaries as JSON. */
export type Facts = Readonly<Record<string, string | number | boolean | null>>

export interface CoracleErrorOptions {
  /** Stable, UPPER_SNAKE; each folder lists its own codes in its `errors.ts`. */
  code: string
  /** What the reader can do about it, if we know. */
  hint?: string
  cause?: unknown
  facts?: Facts
  /** True when the same call may succeed later without anything being changed. */
  retryable?: boolean
}

/**
 * The one error shape. The message reads `verb object: reason`; a kernel error names the call, its arguments and
 * errno in `facts` (`syscall`, `errno`).
 */
export class CoracleError extends Error {
  readonly code: string
  readonly hint: string | undefined
  readonly facts: Facts
  readonly retryable: boolean

  constructor(message: string, options: CoracleErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'CoracleError'
    this.code = options.code
    this.hint = options.hint
    this.facts = options.facts ?? {}
    this.retryable = options.retryable ?? false
  }
}

/** True if `error` is a CoracleError with this code. */
export function hasCode(error: unknown, code: string): error is CoracleError {
  return error instanceof CoracleError && error.code === code
}

/** The errno name (`ENOENT`) of a Node or Coracle error, if it carries one. */
export function errnoOf(error: unknown): string | undefined {
  if (error instanceof CoracleError) return typeof error.facts.errno === 'string' ? error.facts.errno : undefined
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** An error as JSON, for a protocol between our processes: code and facts survive, text is never parsed. */
export interface ErrorRecord {
  code: string
  message: string
  hint?: string
  facts?: Facts
  retryable?: boolean
}

/** `error` as a record that `fromRecord` turns back into a CoracleError. */
export function toRecord(error: unknown): ErrorRecord {
  if (!(error instanceof CoracleError)) return { code: errnoOf(error) ?? 'INTERNAL', message: messageOf(error) }
  const { code, message, hint, facts, retryable } = error
  return { code, message, facts, retryable, ...(hint === undefined ? {} : { hint }) }
}

/** The CoracleError that `toRecord` described. */
export function fromRecord(record: ErrorRecord): CoracleError {
  return new CoracleError(record.message, record)
}

/** Runs every undo step, in order, and throws all failures together; the first error is never lost. */
export async function runAll(message: string, steps: readonly (() => void | Promise<void>)[]): Promise<void> {
  const errors: unknown[] = []
  for (const step of steps) {
    try {
      await step()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length === 1) throw errors[0]
  if (errors.length > 1) throw new AggregateError(errors, `${message}: ${errors.map(messageOf).join('; ')}`)
}
