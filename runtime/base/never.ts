/** For the default branch of a switch over a union: the compiler proves that it is never reached. */
export function never(value: never, what: string): never {
  throw new Error(`${what}: unexpected ${JSON.stringify(value)}`)
}
