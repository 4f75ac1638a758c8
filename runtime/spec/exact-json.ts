import type { OciSpec } from './types.ts'

/** The third parameter of a reviver, which TypeScript's library does not know yet (tc39/proposal-json-parse-with-source). */
interface ReviverContext {
  source?: string
}
type ExactParse = (text: string, revive: (key: string, value: unknown, context: ReviverContext) => unknown) => unknown
const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown }

const mayBeTooLong = /\d{16}/

/**
 * A config.json, or what contains one. Arguments of seccomp rules are unsigned 64-bit numbers: those that a double cannot hold become bigints,
 * where JSON.parse would silently round them to another number. Throws SyntaxError.
 */
export function parseSpec<Shape = OciSpec>(text: string): Shape {
  if (!mayBeTooLong.test(text)) return JSON.parse(text) as Shape
  return (JSON.parse as ExactParse)(text, (key, value, { source }) => {
    const isWord = key === 'value' || key === 'valueTwo'
    if (!isWord || typeof value !== 'number' || Number.isSafeInteger(value)) return value
    return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value
  }) as Shape
}

/** The opposite of `parseSpec`, for anything that contains a spec. */
export function specText(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (error) {
    // What JSON.stringify does not take is a bigint; a replacer for all would cost every container its time.
    if (!(error instanceof TypeError)) throw error
    return JSON.stringify(value, (_, one) => (typeof one === 'bigint' ? rawJSON(one.toString()) : one))
  }
}
