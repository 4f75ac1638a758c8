/** What a request says besides its path: body, options, patch. */
import type { Kind } from '../api/kinds/kind.ts'
import { own } from '../api/own.ts'
import { badRequest, invalid, unsupportedMediaType } from '../api/status.ts'
import type { KubeObject } from '../api/types.ts'
import { invalidValue, notAllowed, type Problem, required, tooLongValue } from '../api/validate/problem.ts'
import type { PatchType } from '../client/api-client.ts'
import { type BodyType, decodeBody } from './body.ts'
import { headerOf, type Incoming } from './incoming.ts'
import { booleanOf } from './parameters.ts'
import { fieldValidationOf, isDryRun, optionsKindOf } from './query.ts'
import { contentTypeOf, parseJson, parseYaml, readBody } from './read-body.ts'
import type { DeleteRequest } from './verbs/delete.ts'
import type { WriteOptions } from './verbs/write.ts'

/** The body, which has to be there. Throws BAD_REQUEST. */
export function bodyOf(incoming: Incoming, type: BodyType): unknown {
  const body = readBody(incoming, type)
  if (body === undefined) throw badRequest('the body of the request is empty')
  return body
}

const warner = (incoming: Incoming) => (text: string) => void incoming.warnings.push(text)

/** How strictly the body is read. */
export function decodeOptions(incoming: Incoming) {
  return { fieldValidation: fieldValidationOf(incoming.query, optionsKindOf(incoming.method)), warn: warner(incoming) }
}

/** Who writes, and whether in earnest. */
export function writeOptions(incoming: Incoming, kind?: Kind): WriteOptions {
  return {
    user: incoming.user,
    dryRun: isDryRun(incoming.query.getAll('dryRun'), optionsKindOf(incoming.method)),
    manager: managerOf(incoming),
    warn: warner(incoming),
    ...(incoming.notes ? { annotate: incoming.notes.annotate.bind(incoming.notes) } : {}),
    ...(kind?.conversion ? { servedAs: kind } : {}),
  }
}

const longestManager = 128

/** Who owns what is written: as the client says, or the beginning of its User-Agent. Throws INVALID. */
function managerOf(incoming: Incoming): string {
  const given = incoming.query.get('fieldManager')
  if (!given) return printable((headerOf(incoming, 'user-agent') ?? '').split('/')[0] ?? '') || 'unknown'
  const kind = optionsKindOf(incoming.method)
  if (given.length > longestManager) throw invalidOptions(kind, tooLongValue('fieldManager', longestManager))
  if (printable(given) === given) return given
  throw invalidOptions(kind, invalidValue('fieldManager', given, 'should only contain printable characters'))
}

const printable = (text: string) => text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '').slice(0, longestManager)

const invalidOptions = (kind: string, problem: Problem) => invalid({ group: 'meta.k8s.io', kind }, '', [problem])

const patchTypes: Readonly<Record<string, PatchType>> = {
  'application/json-patch+json': 'json',
  'application/merge-patch+json': 'merge',
  'application/strategic-merge-patch+json': 'strategic',
  'application/apply-patch+yaml': 'apply',
}

/** The patch in the body, and whether conflicts are overridden. Throws UNSUPPORTED_MEDIA_TYPE, BAD_REQUEST, INVALID. */
export function patchOf(incoming: Incoming): { type: PatchType; patch: unknown; force: boolean } {
  const type = own(patchTypes, contentTypeOf(incoming))
  if (!type) throw unsupportedMediaType(Object.keys(patchTypes))
  const force = booleanOf(incoming.query, 'force')
  if (type !== 'apply') {
    if (force === undefined) return { type, patch: parseJson(incoming.body), force: false }
    throw invalidOptions('PatchOptions', notAllowed('force', 'may not be specified for non-apply patch'))
  }
  if (!incoming.query.get('fieldManager')) {
    throw invalidOptions('PatchOptions', required('fieldManager', 'is required for apply patch'))
  }
  return { type, patch: parseYaml(incoming.body, 'error decoding YAML: '), force: force ?? false }
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
  const propagationPolicy = propagationPolicyOf(options, query)
  return {
    ...writeOptions(incoming),
    dryRun: isDryRun([...(options.dryRun ?? []), ...query.getAll('dryRun')], 'DeleteOptions'),
    ...(gracePeriodSeconds === undefined || Number.isNaN(gracePeriodSeconds) ? {} : { gracePeriodSeconds }),
    ...(options.preconditions ? { preconditions: options.preconditions } : {}),
    ...(propagationPolicy ? { propagationPolicy } : {}),
  }
}

/** What becomes of dependents, also as clients said it before there were policies. Throws INVALID for both. */
function propagationPolicyOf(options: DeleteOptionsBody, query: URLSearchParams): string | undefined {
  const policy = options.propagationPolicy ?? query.get('propagationPolicy') ?? undefined
  const orphan = options.orphanDependents ?? booleanOf(query, 'orphanDependents')
  if (orphan === undefined) return policy
  if (policy === undefined) return orphan ? 'Orphan' : 'Background'
  const problem = 'orphanDependents and deletionPropagation cannot be both set'
  throw invalidOptions('DeleteOptions', invalidValue('propagationPolicy', policy, problem))
}
