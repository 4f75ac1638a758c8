import facts from '../generated/field-numbers.json' with { type: 'json' }

/** One message of the Kubernetes API. */
export interface MessageFacts {
  /** Numbers by JSON name. */
  fields: Record<string, number>
  /** Embedded messages whose fields are, in JSON, fields of this one: their numbers by type name. */
  inline?: Record<string, number>
  /** Fields that can be absent: only for these does a zero on the wire mean a zero. */
  pointers?: string[]
}

/** Messages by the name of their definition. Facts only; see `../generate/field-numbers.ts`. */
export const messages: Readonly<Record<string, MessageFacts>> = facts

/** What every message of the API begins with. */
export const magic = Buffer.from([0x6b, 0x38, 0x73, 0])
