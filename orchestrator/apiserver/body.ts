/** From parsed JSON or YAML to an object of a kind. */
import { hasCode, messageOf } from '../../runtime/base/errors.ts'
import { apiVersionOf } from '../api/kinds/table.ts'
import { decodeObject } from '../api/schema/decode.ts'
import { jsonTypeOf } from '../api/schema/decode-scalar.ts'
import { badRequest, type StatusError } from '../api/status.ts'
import type { KubeObject } from '../api/types.ts'

/** `Strict` refuses unknown fields, `Warn` drops them and says so, `Ignore` drops them. */
export type FieldValidation = 'Strict' | 'Warn' | 'Ignore'

export interface DecodeOptions {
  readonly fieldValidation: FieldValidation
  warn(text: string): void
}

/** What a body has to be: the kind of the resource, or that of a subresource. */
export interface BodyType {
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly definition: string
}

/** What to answer when a body cannot be decoded: `reason` is the decoder's, `cause` its error when there was one. */
export type Refuse = (reason: string, cause?: unknown) => StatusError

/**
 * A private object of this type. Throws what `refuse` makes of the decoder's words, BAD_REQUEST as Kubernetes does it
 * unless given.
 */
export function decodeBody<T extends KubeObject>(
  type: BodyType,
  body: unknown,
  options: DecodeOptions,
  refuse: Refuse = (reason) => badRequest(`${describe(type)}: ${reason}`),
): T {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw refuse(`json: cannot unmarshal ${jsonTypeOf(body)} into Go value of type ${type.version}.${type.kind}`)
  }
  checkType(type, body as KubeObject)
  try {
    const { value, unknownFields } = decodeObject(type.definition, body)
    if (unknownFields.length > 0) report(unknownFields, options, refuse)
    return value as T
  } catch (error) {
    if (hasCode(error, 'DECODE') || hasCode(error, 'BAD_QUANTITY')) throw refuse(messageOf(error), error)
    throw error
  }
}

const describe = ({ kind, version }: BodyType) =>
  `${kind} in version ${JSON.stringify(version)} cannot be handled as a ${kind}`

function checkType(type: BodyType, { apiVersion, kind }: KubeObject): void {
  const expected = apiVersionOf(type)
  if (apiVersion && apiVersion !== expected) {
    throw badRequest(
      `the API version in the data (${apiVersion}) does not match the expected API version (${expected})`,
    )
  }
  if (kind && kind !== type.kind) {
    throw badRequest(
      `${kind} in version ${JSON.stringify(type.version)} cannot be handled as a ${type.kind}: the kind in the data (${kind}) does not match the expected kind (${type.kind})`,
    )
  }
}

function report(unknownFields: readonly string[], options: DecodeOptions, refuse: Refuse): void {
  if (options.fieldValidation === 'Strict') throw refuse(`strict decoding error: ${unknownFields.join(', ')}`)
  if (options.fieldValidation === 'Warn') for (const text of unknownFields) options.warn(text)
}
