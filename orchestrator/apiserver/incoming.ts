import type { User } from '../api/user.ts'

/** One HTTP request with an authenticated caller, free of the HTTP library. */
export interface Incoming {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Uint8Array
  readonly user: User
  /** Sentences for `Warning` headers of the answer. */
  readonly warnings: string[]
}

/** A header as one text. */
export function headerOf({ headers }: Pick<Incoming, 'headers'>, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}
