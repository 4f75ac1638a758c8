import { hasCode } from '../../../runtime/base/errors.ts'
import { badRequest, expired, expiredPage, revisionTooLarge } from '../../api/status.ts'
import type { KubeObject } from '../../api/types.ts'
import type { Range, RangeOptions, StoreRecord } from '../../store/store.ts'
import { fromStored, keyOf } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { type Selection, type SelectorTexts, selectionOf } from '../selection.ts'
import { reachNewest } from '../stored.ts'
import { anyRevision, type ContinueToken, readToken, refusal, writeToken } from './continue-token.ts'
import type { Collection } from './create.ts'
import { parseRevision, reachRevision } from './get.ts'
import { checkList, type RevisionQuery } from './list-options.ts'

export interface ListQuery extends SelectorTexts, RevisionQuery {
  readonly limit?: number
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

interface Listing {
  readonly query: ListQuery
  readonly selection: Selection
  /** At most so many; 0 is all. */
  readonly limit: number
}

/**
 * The objects of a collection, in order of namespace and name. From memory, unless the query asks for the past: a
 * further page, or an exact revision. Throws GONE, TIMEOUT, BAD_REQUEST, INVALID.
 */
export async function listObjects(registry: Registry, collection: Collection, query: ListQuery): Promise<Listed> {
  checkList(query)
  const { resourceVersion, resourceVersionMatch: match } = query
  const selection = selectionOf(collection.servedAs ?? collection.kind, query)
  // Kubernetes' cache has no pages for who takes any state.
  const limit = resourceVersion === '0' && !query.continue ? 0 : Math.max(0, query.limit ?? 0)
  const listing: Listing = { query, selection, limit }
  if (query.continue) return listFurther(registry, collection, { ...listing, token: readToken(query.continue) })
  const asked = revisionOf(resourceVersion)
  const isExact = match === 'Exact' || (asked > 0 && limit > 0 && !match)
  if (!isExact) {
    await reachRevision(registry, resourceVersion)
    return listNewest(registry, collection, listing)
  }
  return listAt(registry, collection, { ...listing, revision: asked, from: prefixOf(collection) })
}

/** Throws BAD_REQUEST. */
function revisionOf(text: string | undefined): number {
  return parseRevision(text, 'invalid resource version: ')
}

/** From the key of this on; everything when left out. */
type From = { readonly from?: string }

function listNewest(registry: Registry, collection: Collection, { selection, limit, from }: Listing & From): Listed {
  const { revision } = registry.broadcaster
  const entries = candidates(registry, collection, selection)
  const wanted = from === undefined ? entries : entries.filter(({ key }) => key >= from)
  const all = wanted.map(({ value }) => value)
  const found = selection.isEverything ? all : all.filter((object) => selection.matches(object))
  if (limit === 0 || found.length <= limit) return { items: found, revision }
  // With a selector, Kubernetes does not count what is left.
  const left = selection.isEverything ? { remaining: found.length - limit } : {}
  return pageOf(found.slice(0, limit), { revision, ...left })
}

/** A page that is not the last one. */
function pageOf(items: readonly KubeObject[], at: { revision: number; remaining?: number }): Listed {
  const { namespace, name = '' } = items.at(-1)?.metadata ?? {}
  return { items, ...at, continue: writeToken({ ...at, after: namespace ? `${namespace}/${name}` : name }) }
}

function candidates(registry: Registry, collection: Collection, selection: Selection) {
  const cache = registry.cacheOf(collection.kind)
  const { namespace, kind } = collection
  if (selection.name !== undefined && (namespace !== undefined || !kind.namespaced)) {
    const entry = cache.get(keyOf({ ...collection, name: selection.name }))
    return entry ? [entry] : []
  }
  return cache.listBelow(prefixOf(collection))
}

/** The next page: of the state that the token is of, or of the newest. */
async function listFurther(
  registry: Registry,
  collection: Collection,
  { token, ...listing }: Listing & { readonly token: ContinueToken },
): Promise<Listed> {
  const { resourceVersion } = listing.query
  if (resourceVersion && resourceVersion !== '0') {
    throw badRequest('specifying resource version is not allowed when using continue')
  }
  // The key after `after` is the one with the smallest possible character added.
  const from = `${collection.kind.storedAt}${token.after}\u0000`
  if (!from.startsWith(prefixOf(collection))) throw refusal('it is of another collection')
  if (token.revision > 0) return listAt(registry, collection, { ...listing, revision: token.revision, from, token })
  await reachNewest(registry)
  return listNewest(registry, collection, { ...listing, from })
}

interface Exact extends Listing {
  readonly revision: number
  /** The first key. */
  readonly from: string
  /** Unset on a first page. */
  readonly token?: ContinueToken
}

/** The state at exactly that revision. Throws GONE, TIMEOUT. */
async function listAt(registry: Registry, collection: Collection, exact: Exact): Promise<Listed> {
  await reachNewest(registry)
  const { revision } = registry.broadcaster
  if (exact.revision > revision) throw revisionTooLarge(exact.revision, revision)
  return exact.revision === revision ? listNewest(registry, collection, exact) : listPast(registry, collection, exact)
}

/** From the store; what has not changed since is not decoded again. */
async function listPast(registry: Registry, collection: Collection, exact: Exact): Promise<Listed> {
  const { revision, selection, limit } = exact
  const items: KubeObject[] = []
  // A further page knows from its token how many are left.
  const isCounted = limit > 0 && exact.token === undefined && selection.isEverything
  for (let next = exact.from; ; ) {
    const range = await rangeAt(registry, prefixOf(collection), {
      revision,
      from: next,
      ...(exact.token ? { token: exact.token } : {}),
      ...(limit > 0 ? { limit: limit * 2, isCounted } : {}),
    })
    for (const record of range.records) {
      const object = decodeRecord(registry, collection, record)
      if (!selection.matches(object)) continue
      if (limit > 0 && items.length === limit) return pageOf(items, { revision, ...leftOf(exact, range) })
      items.push(object)
    }
    if (!range.more) return { items, revision }
    next = `${range.records.at(-1)?.key}\u0000`
  }
}

/** Of one state: what was left when this page began, less the page. On a first page, what the store has counted. */
function leftOf({ token, limit, selection }: Exact, { records, left = 0 }: Range): { remaining?: number } {
  // With a selector, Kubernetes does not count.
  if (!token) return selection.isEverything ? { remaining: records.length + left - limit } : {}
  return token.remaining === undefined ? {} : { remaining: token.remaining - limit }
}

function decodeRecord(registry: Registry, { kind }: Collection, record: StoreRecord): KubeObject {
  const entry = registry.cacheOf(kind).get(record.key)
  return entry?.revision === record.revision ? entry.value : fromStored(record.value, record.revision)
}

interface RangeAt extends RangeOptions {
  readonly revision: number
  readonly from: string
  readonly token?: ContinueToken
}

/** Who was on his way through the pages may go on with what is there now. */
const pageExpired =
  'The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.'

async function rangeAt(registry: Registry, prefix: string, { token, ...options }: RangeAt): Promise<Range> {
  try {
    return await registry.store.range(prefix, options)
  } catch (error) {
    if (!hasCode(error, 'COMPACTED')) throw error
    if (!token) throw expired('The resourceVersion for the provided list is too old.')
    throw expiredPage(pageExpired, writeToken({ revision: anyRevision, after: token.after }))
  }
}
