import { hasCode } from '../../../runtime/base/errors.ts'
import { badRequest, expired } from '../../api/status.ts'
import type { KubeObject } from '../../api/types.ts'
import type { Range, RangeOptions, StoreRecord } from '../../store/store.ts'
import { fromStored, keyOf } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { type Selection, type SelectorTexts, selectionOf } from '../selection.ts'
import type { Collection } from './create.ts'
import { parseRevision, reachRevision } from './get.ts'

export interface ListQuery extends SelectorTexts {
  readonly limit?: number
  readonly continue?: string
  readonly resourceVersion?: string
  readonly resourceVersionMatch?: string
}

export interface Listed {
  readonly items: readonly KubeObject[]
  readonly revision: number
  /** Set when there is more: asks for the next page. */
  readonly continue?: string
  readonly remaining?: number
}

/** The keys of a collection start with this. */
export function prefixOf({ kind, namespace }: Collection): string {
  return kind.namespaced && namespace !== undefined ? `${kind.storedAt}${namespace}/` : kind.storedAt
}

/**
 * The objects of a collection, in order of namespace and name. From memory, unless the query asks for the past: a
 * further page, or an exact revision. Throws GONE, TIMEOUT, BAD_REQUEST.
 */
export async function listObjects(registry: Registry, collection: Collection, query: ListQuery): Promise<Listed> {
  const selection = selectionOf(collection.servedAs ?? collection.kind, query)
  checkMatch(query)
  if (query.continue) return listFurther(registry, collection, { query, selection, token: readToken(query.continue) })
  const asked = parseRevision(query.resourceVersion)
  await reachRevision(registry, query.resourceVersion)
  const { revision } = registry.broadcaster
  const isExact = query.resourceVersionMatch === 'Exact' || (asked > 0 && query.limit && !query.resourceVersionMatch)
  if (isExact && asked > 0 && asked !== revision) {
    return listFurther(registry, collection, {
      query,
      selection,
      token: { revision: asked, from: prefixOf(collection) },
    })
  }
  const all = candidates(registry, collection, selection)
  const found = selection.isEverything ? all : all.filter((object) => selection.matches(object))
  return page(found, { revision, query, selection })
}

function candidates(registry: Registry, collection: Collection, selection: Selection): KubeObject[] {
  const cache = registry.cacheOf(collection.kind)
  const { namespace, kind } = collection
  if (selection.name !== undefined && (namespace !== undefined || !kind.namespaced)) {
    const entry = cache.get(keyOf({ ...collection, name: selection.name }))
    return entry ? [entry.value] : []
  }
  return cache.listBelow(prefixOf(collection)).map(({ value }) => value)
}

function page(
  found: readonly KubeObject[],
  { revision, query, selection }: { revision: number; query: ListQuery; selection: Selection },
): Listed {
  const limit = query.limit ?? 0
  if (limit <= 0 || found.length <= limit) return { items: found, revision }
  const items = found.slice(0, limit)
  return {
    items,
    revision,
    continue: writeToken({ revision, after: items.at(-1) }),
    // With a selector, Kubernetes does not count what is left.
    ...(selection.isEverything ? { remaining: found.length - limit } : {}),
  }
}

interface Token {
  revision: number
  /** The first key of the page. */
  from: string
}

interface TokenText {
  v: string
  rv: number
  /** `namespace/name` (or name) of the last item. */
  start: string
}

function writeToken({ revision, after }: { revision: number; after: KubeObject | undefined }): string {
  const { namespace, name } = after?.metadata ?? {}
  const token: TokenText = {
    v: 'meta.k8s.io/v1',
    rv: revision,
    start: namespace ? `${namespace}/${name}` : (name ?? ''),
  }
  return Buffer.from(JSON.stringify(token)).toString('base64url')
}

function readToken(text: string): { revision: number; start: string } {
  try {
    const token = JSON.parse(Buffer.from(text, 'base64url').toString()) as Partial<TokenText>
    if (token.v === 'meta.k8s.io/v1' && Number.isSafeInteger(token.rv) && typeof token.start === 'string') {
      return { revision: token.rv ?? 0, start: token.start }
    }
  } catch {
    // Answered below: whatever is wrong with it, it is not a token of ours.
  }
  throw badRequest('continue key is not valid: the token cannot be read')
}

interface Further {
  query: ListQuery
  selection: Selection
  token: Token | { revision: number; start: string }
}

/** Pages at an older revision come from the store; what has not changed since is not decoded again. */
async function listFurther(
  registry: Registry,
  collection: Collection,
  { query, selection, token }: Further,
): Promise<Listed> {
  const prefix = prefixOf(collection)
  // The key after `start` is the one with the smallest possible character added.
  const from = 'from' in token ? token.from : `${collection.kind.storedAt}${token.start}\u0000`
  if (!from.startsWith(prefix)) throw badRequest('continue key is not valid: it is of another collection')
  const limit = query.limit ?? 0
  const items: KubeObject[] = []
  let next = from
  for (;;) {
    const range = await rangeAt(registry, prefix, {
      revision: token.revision,
      from: next,
      isPage: query.continue !== undefined,
      ...(limit > 0 ? { limit: limit * 2 } : {}),
    })
    for (const record of range.records) {
      const object = decodeRecord(registry, collection, record)
      if (!selection.matches(object)) continue
      if (limit > 0 && items.length === limit) {
        return {
          items,
          revision: token.revision,
          continue: writeToken({ revision: token.revision, after: items.at(-1) }),
        }
      }
      items.push(object)
    }
    if (!range.more) return { items, revision: token.revision }
    next = `${range.records.at(-1)?.key}\u0000`
  }
}

function decodeRecord(registry: Registry, { kind }: Collection, record: StoreRecord): KubeObject {
  const entry = registry.cacheOf(kind).get(record.key)
  return entry?.revision === record.revision ? entry.value : fromStored(record.value, record.revision)
}

interface RangeAt extends RangeOptions {
  readonly revision: number
  readonly from: string
  readonly isPage: boolean
}

async function rangeAt(registry: Registry, prefix: string, { isPage, ...options }: RangeAt): Promise<Range> {
  try {
    return await registry.store.range(prefix, options)
  } catch (error) {
    if (!hasCode(error, 'COMPACTED')) throw error
    throw expired(
      isPage
        ? 'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.'
        : 'The resourceVersion for the provided list is too old.',
    )
  }
}

function checkMatch({ resourceVersion, resourceVersionMatch, continue: token }: ListQuery): void {
  if (resourceVersionMatch === undefined || resourceVersionMatch === '') return
  if (token) throw badRequest('resourceVersionMatch is forbidden when continue is provided')
  if (!resourceVersion) throw badRequest('resourceVersionMatch is forbidden unless resourceVersion is provided')
  if (resourceVersionMatch !== 'Exact' && resourceVersionMatch !== 'NotOlderThan') {
    throw badRequest(
      `resourceVersionMatch: Unsupported value: ${JSON.stringify(resourceVersionMatch)}: supported values: "Exact", "NotOlderThan"`,
    )
  }
  if (resourceVersionMatch === 'Exact' && resourceVersion === '0') {
    throw badRequest('resourceVersionMatch "Exact" is forbidden for resourceVersion "0"')
  }
}
