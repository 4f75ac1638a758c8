import type { User } from '../api/user.ts'

/** One HTTP request with an authenticated caller, free of the HTTP library. */
export interface Incoming {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Uint8Array
  readonly user: User
  /** As it came over the wire; unset for a request that did not. */
  readonly wire?: Wire
  /** Sentences for `Warning` headers of the answer. */
  readonly warnings: string[]
  /** Unset where no audit log is kept. */
  readonly notes?: RequestNotes
}

/** What is found out of a request only while it is answered. */
export interface RequestNotes {
  annotate(key: string, value: string): void
  /** The object that is made, by the name that it has or gets. */
  names(name: string): void
}

export interface Wire {
  readonly uri: string
  readonly address: string
  /** Names and values in turn: where a header comes more than once, `headers` has run its values together. */
  readonly rawHeaders: readonly string[]
}

/** A header as one text. */
export function headerOf({ headers }: Pick<Incoming, 'headers'>, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}
