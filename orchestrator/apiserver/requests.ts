/** What a request says besides its path: body, options, patch. */
import { own } from '../api/own.ts'
import { badRequest, unsupportedMediaType } from '../api/status.ts'
import type { KubeObject } from '../api/types.ts'
import type { PatchType } from '../client/api-client.ts'
import { type BodyType, decodeBody } from './body.ts'
import type { Incoming } from './incoming.ts'
import { fieldValidationOf, isDryRun } from './query.ts'
import { contentTypeOf, parseJson, readBody } from './read-body.ts'
import type { DeleteRequest } from './verbs/delete.ts'

/** The body, which has to be there. Throws BAD_REQUEST. */
export function bodyOf(incoming: Incoming, type: BodyType): unknown {
  const body = readBody(incoming, type)
  if (body === undefined) throw badRequest('the body of the request is empty')
  return body
}

const warner = (incoming: Incoming) => (text: string) => void incoming.warnings.push(text)

/** How strictly the body is read. */
export function decodeOptions(incoming: Incoming) {
  return { fieldValidation: fieldValidationOf(incoming.query), warn: warner(incoming) }
}

/** Who writes, and whether in earnest. */
export function writeOptions(incoming: Incoming) {
  return { user: incoming.user, dryRun: isDryRun(incoming.query.getAll('dryRun')), warn: warner(incoming) }
}

const patchTypes: Readonly<Record<string, PatchType>> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
}

/** The patch in the body. Throws UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST. */
export function patchOf(incoming: Incoming): { type: PatchType; patch: unknown } {
  const type = own(patchTypes, contentTypeOf(incoming))
  // Server-side apply (`application/apply-patch+yaml`) is not there yet: it is refused like any unknown type.
  if (!type) throw unsupportedMediaType(Object.keys(patchTypes))
  return { type, patch: parseJson(incoming.body) }
}

interface DeleteOptionsBody extends KubeObject {
  gracePeriodSeconds?: number
  preconditions?: { uid?: string; resourceVersion?: string }
  propagationPolicy?: string
  orphanDependents?: boolean
  dryRun?: string[]
}

const deleteOptionsType: BodyType = {
  group: '',
  version: 'v1',
  kind: 'DeleteOptions',
  definition: 'io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions',
}

/** DeleteOptions from the body, or from the query when there is none. */
export function deleteRequestOf(incoming: Incoming): DeleteRequest {
  const { query } = incoming
  const body = readBody(incoming, deleteOptionsType) ?? {}
  // Its apiVersion may be that of any group.
  const { apiVersion: _, ...fields } = body as DeleteOptionsBody
  const options = decodeBody<DeleteOptionsBody>(deleteOptionsType, fields, decodeOptions(incoming))
  const grace = query.get('gracePeriodSeconds')
  const gracePeriodSeconds = options.gracePeriodSeconds ?? (grace === null ? undefined : Number.parseInt(grace, 10))
  const propagationPolicy = options.propagationPolicy ?? query.get('propagationPolicy') ?? undefined
  return {
    ...writeOptions(incoming),
    dryRun: isDryRun([...(options.dryRun ?? []), ...query.getAll('dryRun')]),
    ...(gracePeriodSeconds === undefined || Number.isNaN(gracePeriodSeconds) ? {} : { gracePeriodSeconds }),
    ...(options.preconditions ? { preconditions: options.preconditions } : {}),
    ...(propagationPolicy ? { propagationPolicy } : {}),
  }
}
