/**
 * The errors of the API as Kubernetes words them: every one is a metav1.Status with a code, a reason and details.
 * Source: k8s.io/apimachinery/pkg/api/errors/errors.go.
 */
import { CoracleError } from '../../runtime/base/errors.ts'
import type { Status } from './types.ts'

export interface StatusCause {
  reason: string
  message: string
  field?: string
}

export interface StatusDetails {
  name?: string
  group?: string
  kind?: string
  uid?: string
  causes?: StatusCause[]
  retryAfterSeconds?: number
}

/** Names a resource in an error: `pods`, `leases.coordination.k8s.io`. */
export interface ResourceName {
  group: string
  resource: string
}

/** An error that the API answers with; `code` is its reason in UPPER_SNAKE. */
export class StatusError extends CoracleError {
  readonly status: Status

  constructor(status: Status) {
    const http = status.code ?? 500
    super(status.message ?? status.reason ?? 'unknown error', {
      code: codeOf(status),
      facts: { status: http, ...(status.reason ? { reason: status.reason } : {}) },
      retryable: http === 429 || http >= 500,
    })
    this.name = 'StatusError'
    this.status = status
  }
}

function codeOf(status: Status): string {
  if (status.code === 410) return 'GONE'
  return (status.reason || 'Unknown').replace(/(?<=[a-z])(?=[A-Z])/g, '_').toUpperCase()
}

function failure(code: number, reason: string, rest: { message: string; details?: StatusDetails }): StatusError {
  const { message, details } = rest
  return new StatusError({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    ...(reason === '' ? {} : { reason }),
    ...(details ? { details } : {}),
    code,
  })
}

const qualified = ({ group, resource }: ResourceName) => (group === '' ? resource : `${resource}.${group}`)

function detailsOf({ group, resource }: ResourceName, name?: string): StatusDetails {
  return { ...(name ? { name } : {}), ...(group ? { group } : {}), kind: resource }
}

/** 404 `pods "x" not found`. */
export function notFound(resource: ResourceName, name: string): StatusError {
  return failure(404, 'NotFound', {
    message: `${qualified(resource)} ${JSON.stringify(name)} not found`,
    details: detailsOf(resource, name),
  })
}

/** 404 for a path that names no resource we serve. */
export function unknownResource(): StatusError {
  return failure(404, 'NotFound', { message: 'the server could not find the requested resource', details: {} })
}

/** 409 `pods "x" already exists`. */
export function alreadyExists(resource: ResourceName, name: string): StatusError {
  return failure(409, 'AlreadyExists', {
    message: `${qualified(resource)} ${JSON.stringify(name)} already exists`,
    details: detailsOf(resource, name),
  })
}

export const modifiedMessage =
  'the object has been modified; please apply your changes to the latest version and try again'

/** 409 `Operation cannot be fulfilled on pods "x": …`. */
export function conflict(resource: ResourceName, name: string, reason: string = modifiedMessage): StatusError {
  return failure(409, 'Conflict', {
    message: `Operation cannot be fulfilled on ${qualified(resource)} ${JSON.stringify(name)}: ${reason}`,
    details: detailsOf(resource, name),
  })
}

/** 409 of an apply: which fields others own. `causes` name the field and its owner each. */
export function applyConflict(causes: readonly StatusCause[], message: string): StatusError {
  return failure(409, 'Conflict', { message, details: { causes: [...causes] } })
}

/** 403 `pods "x" is forbidden: …`. */
export function forbidden(resource: ResourceName, name: string, reason: string): StatusError {
  const message = resource.resource === '' ? `forbidden: ${reason}` : undefined
  const subject = name === '' ? qualified(resource) : `${qualified(resource)} ${JSON.stringify(name)}`
  return failure(403, 'Forbidden', {
    message: message ?? `${subject} is forbidden: ${reason}`,
    details: resource.resource === '' ? {} : detailsOf(resource, name),
  })
}

/** 401. */
export function unauthorized(): StatusError {
  return failure(401, 'Unauthorized', { message: 'Unauthorized' })
}

/** 400. */
export function badRequest(message: string): StatusError {
  return failure(400, 'BadRequest', { message })
}

/** 405. */
export function methodNotAllowed(): StatusError {
  return failure(405, 'MethodNotAllowed', {
    message: 'the server does not allow this method on the requested resource',
    details: {},
  })
}

/** 405 for a verb that the resource does not have, as `create is not supported on resources of kind "x"`. */
export function notSupported(resource: ResourceName, verb: string): StatusError {
  return failure(405, 'MethodNotAllowed', {
    message: `${verb} is not supported on resources of kind ${JSON.stringify(qualified(resource))}`,
    details: detailsOf(resource),
  })
}

/** 406. */
export function notAcceptable(accepted: readonly string[]): StatusError {
  return failure(406, 'NotAcceptable', {
    message: `only the following media types are accepted: ${accepted.join(', ')}`,
  })
}

/** 415. */
export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  return failure(415, 'UnsupportedMediaType', {
    message: `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`,
  })
}

/** 413. */
export function tooLarge(limitBytes: number): StatusError {
  return entityTooLarge(`limit is ${limitBytes}`)
}

/** 413, for another reason than its bytes. */
export function entityTooLarge(why: string): StatusError {
  return failure(413, 'RequestEntityTooLarge', { message: `Request entity too large: ${why}` })
}

/** 410: the revision was compacted away, or a continue token is too old. */
export function expired(message: string): StatusError {
  return failure(410, 'Expired', { message })
}

/** 410 for a further page of a list. `token` goes on with whatever is there now. */
export function expiredPage(message: string, token: string): StatusError {
  return fromStatus({ ...expired(message).status, metadata: { continue: token } })
}

/** 504: the caller asks for a revision that this server has not reached. */
export function revisionTooLarge(asked: number, current: number): StatusError {
  const message = `Too large resource version: ${asked}, current: ${current}`
  return failure(504, 'Timeout', {
    message: `Timeout: ${message}`,
    details: {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    },
  })
}

/** 500. What went wrong is for the log; `reason` is for the caller. */
export function internalError(reason: string): StatusError {
  return failure(500, 'InternalError', {
    message: `Internal error occurred: ${reason}`,
    details: { causes: [{ reason: '', message: reason }] },
  })
}

/**
 * 422 for an applied configuration that does not fit its type; `subject` is what it says that it is. Kubernetes has the same
 * words under a 500: but it is the client who is wrong, and nothing that a client says may read as a failure of the server.
 */
export function untypedPatch(subject: string, problems: readonly string[]): StatusError {
  const [first = ''] = problems
  const list = problems.length === 1 ? first : ['errors:', ...problems.map((each) => `  ${each}`)].join('\n')
  return failure(422, '', { message: `failed to create typed patch object (${subject}): ${list}` })
}

/** 429: try again after so many seconds. `causes` say what stands in the way. */
export function tooManyRequests(
  message: string,
  retryAfterSeconds: number,
  causes: readonly StatusCause[] = [],
): StatusError {
  const details = { ...(causes.length > 0 ? { causes: [...causes] } : {}), retryAfterSeconds }
  return failure(429, 'TooManyRequests', { message, details })
}

/** 504: it took too long; whether it was done is not known. */
export function requestTimeout(): StatusError {
  return failure(504, 'Timeout', {
    message: 'Timeout: request did not complete within the allotted timeout',
    details: {},
  })
}

/** 503. */
export function unavailable(message: string): StatusError {
  return failure(503, 'ServiceUnavailable', { message })
}

/** 422 for a patch that does not apply, e.g. a JSON patch whose `test` fails. */
export function unprocessable(): StatusError {
  return failure(422, 'Invalid', {
    message: 'the server rejected our request due to an error in our request',
    details: {},
  })
}

/** 422 `Pod "x" is invalid: spec.containers: Required value`. */
export function invalid(
  kind: { group: string; kind: string },
  name: string,
  problems: readonly StatusCause[],
): StatusError {
  const texts = problems.map(({ field, message }) => (field ? `${field}: ${message}` : message))
  const list = texts.length === 1 ? texts[0] : `[${[...new Set(texts)].join(', ')}]`
  const subject = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`
  return failure(422, 'Invalid', {
    message: `${subject} ${JSON.stringify(name)} is invalid: ${list}`,
    details: {
      ...(name ? { name } : {}),
      ...(kind.group ? { group: kind.group } : {}),
      kind: kind.kind,
      causes: [...problems],
    },
  })
}

/** The error that a Status from another server describes. */
export function fromStatus(status: Status): StatusError {
  return new StatusError(status)
}

/** Any error as a Status; what is not ours becomes a 500 that tells nothing of the inside. */
export function toStatus(error: unknown): Status {
  if (error instanceof StatusError) return error.status
  return internalError('the server met an unexpected condition').status
}
