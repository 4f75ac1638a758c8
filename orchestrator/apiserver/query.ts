/** Query parameters of a request, typed. Throws BAD_REQUEST or INVALID for one that cannot be read. */
import { own } from '../api/own.ts'
import { badRequest, invalid } from '../api/status.ts'
import { unsupported } from '../api/validate/problem.ts'
import type { FieldValidation } from './body.ts'
import { booleanOf, numberOf } from './parameters.ts'
import type { SelectorTexts } from './selection.ts'
import type { IncludeObject } from './table.ts'
import type { ListQuery } from './verbs/list.ts'
import type { RevisionQuery } from './verbs/list-options.ts'
import type { WatchQuery } from './verbs/watch.ts'

/** The parameters that are set, under their own names. */
function textsOf<Name extends string>(query: URLSearchParams, names: readonly Name[]): { [Key in Name]?: string } {
  const found = names
    .map((name) => [name, query.get(name)] as const)
    .filter(([, value]) => value !== null && value !== '')
  return Object.fromEntries(found) as { [Key in Name]?: string }
}

/** What a list is asked for. */
export function listQueryOf(query: URLSearchParams): ListQuery {
  const limit = numberOf(query, 'limit')
  return { ...selectionQueryOf(query), ...(limit === undefined ? {} : { limit }) }
}

/** What a watch is asked for; `name` is that of the one object that the path asks for, empty for all. */
export function watchQueryOf(query: URLSearchParams, name: string): WatchQuery {
  const selection = selectionQueryOf(query)
  const fieldSelector = [selection.fieldSelector, name && `metadata.name=${name}`].filter(Boolean).join(',')
  const allowWatchBookmarks = booleanOf(query, 'allowWatchBookmarks') ?? false
  return { ...selection, ...(fieldSelector ? { fieldSelector } : {}), allowWatchBookmarks }
}

function selectionQueryOf(query: URLSearchParams): SelectorTexts & RevisionQuery {
  const sendInitialEvents = booleanOf(query, 'sendInitialEvents')
  return {
    ...textsOf(query, ['labelSelector', 'fieldSelector', 'continue', 'resourceVersion', 'resourceVersionMatch']),
    ...(sendInitialEvents === undefined ? {} : { sendInitialEvents }),
  }
}

/** What parameters and body say besides the object: which kind of options of meta.k8s.io. */
export function optionsKindOf(method: string): string {
  return own(optionsKinds, method) ?? 'Options'
}

const optionsKinds: Readonly<Record<string, string>> = {
  POST: 'CreateOptions',
  PUT: 'UpdateOptions',
  PATCH: 'PatchOptions',
  DELETE: 'DeleteOptions',
}

/** True for `dryRun=All`. Throws INVALID. */
export function isDryRun(values: readonly string[], optionsKind: string): boolean {
  if (values.some((value) => value !== 'All'))
    throw invalid({ group: 'meta.k8s.io', kind: optionsKind }, '', [unsupported('dryRun', values, ['All'])])
  return values.length > 0
}

/** How strict a body is read: `Warn` when unset, as in Kubernetes. */
export function fieldValidationOf(query: URLSearchParams, optionsKind: string): FieldValidation {
  const value = query.get('fieldValidation') || 'Warn'
  if (value === 'Strict' || value === 'Warn' || value === 'Ignore') return value
  const problem = unsupported('fieldValidation', value, ['', 'Ignore', 'Strict', 'Warn'])
  throw invalid({ group: 'meta.k8s.io', kind: optionsKind }, '', [problem])
}

/** How much of an object goes along with its row of a Table. */
export function includeObjectOf(query: URLSearchParams): IncludeObject {
  const value = query.get('includeObject') || 'Metadata'
  if (value === 'None' || value === 'Metadata' || value === 'Object') return value
  throw badRequest(`unrecognized includeObject value: ${JSON.stringify(value)}`)
}
