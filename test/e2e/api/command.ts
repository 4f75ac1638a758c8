/** Rows of commands that every kubectl is driven through. */

export interface Command {
  /** Words with a space between them, a tilde for one within; `@` is the client's own namespace and the beginning of its names, `%` the node. */
  readonly line: string
  /** What standard output (or, with a code other than 0, standard error) has to match. */
  readonly expect: RegExp
  readonly code?: number
  /** Standard input, with the same marks. */
  readonly input?: string
  /** The oldest minor version that knows the command, as 24 for 1.24. */
  readonly since?: number
  /** The newest that does. */
  readonly until?: number
}

export function command(line: string, expect: RegExp, more: Omit<Command, 'line' | 'expect'> = {}): Command {
  return { line, expect, ...more }
}

/** The arguments of a line. */
export const wordsOf = (line: string) => line.split(' ').map((word) => word.replaceAll('~', ' '))

/** Fills the marks in. */
export function filled(text: string, marks: { own: string; node: string }): string {
  return text.replaceAll('@', marks.own).replaceAll('%', marks.node)
}

export function isFor({ since = 0, until = 1000 }: Command, version: string): boolean {
  const minor = Number(version.split('.')[1] ?? 1000)
  return minor >= since && minor <= until
}

export const json = (value: unknown) => JSON.stringify(value)
