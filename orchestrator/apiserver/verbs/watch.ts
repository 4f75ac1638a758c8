import { hasCode } from '../../../runtime/base/errors.ts'
import { badRequest, expired } from '../../api/status.ts'
import type { KubeObject } from '../../api/types.ts'
import type { CacheEvent } from '../../store/watch-cache.ts'
import { atRevision } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { type Selection, type SelectorTexts, selectionOf } from '../selection.ts'
import type { Collection } from './create.ts'
import { parseRevision, reachRevision } from './get.ts'
import { prefixOf } from './list.ts'

export interface WatchQuery extends SelectorTexts {
  /** Events after this; unset or `0`: the current state as ADDED events first. */
  readonly resourceVersion?: string
  readonly resourceVersionMatch?: string
  readonly sendInitialEvents?: boolean
  readonly allowWatchBookmarks?: boolean
}

export type WatchedEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: KubeObject }
  /** `initialEventsEnd`: the state at the beginning has been sent. */
  | { readonly type: 'BOOKMARK'; readonly revision: number; readonly initialEventsEnd: boolean }

export interface Watching {
  /** Sends a bookmark now: everything up to the current revision has been delivered. */
  bookmark(): void
  end(): void
}

/**
 * Delivers every change of what the query selects, each once and in order, as soon as it is durable. An object that
 * begins or ceases to match is ADDED or DELETED. Throws GONE when the revision was compacted away, BAD_REQUEST.
 */
export async function watchObjects(
  registry: Registry,
  collection: Collection,
  request: { query: WatchQuery; deliver(event: WatchedEvent): void },
): Promise<Watching> {
  const { query, deliver } = request
  checkQuery(query)
  const selection = selectionOf(collection.servedAs ?? collection.kind, query)
  await reachRevision(registry, query.resourceVersion)
  const asked = parseRevision(query.resourceVersion)
  const cache = registry.cacheOf(collection.kind)
  const prefix = prefixOf(collection)
  const bookmark = (initialEventsEnd: boolean) =>
    deliver({ type: 'BOOKMARK', revision: registry.broadcaster.revision, initialEventsEnd })
  const take = (event: CacheEvent<KubeObject>) => {
    if (!event.key.startsWith(prefix)) return
    const seen = selected(selection, event)
    if (seen) deliver(seen)
  }
  const startsWithState = query.sendInitialEvents ?? asked === 0
  if (startsWithState) {
    for (const { value } of cache.listBelow(prefix))
      if (selection.matches(value)) deliver({ type: 'ADDED', object: value })
    if (query.sendInitialEvents && query.allowWatchBookmarks) bookmark(true)
    return { bookmark: () => bookmark(false), end: cache.follow(take) }
  }
  const after = asked === 0 ? registry.broadcaster.revision : asked
  try {
    return { bookmark: () => bookmark(false), end: await cache.watch(after, take) }
  } catch (error) {
    if (hasCode(error, 'COMPACTED'))
      throw expired(`too old resource version: ${asked} (${registry.broadcaster.revision})`)
    throw error
  }
}

function checkQuery({ sendInitialEvents, resourceVersionMatch }: WatchQuery): void {
  if (sendInitialEvents !== undefined && resourceVersionMatch !== 'NotOlderThan') {
    throw badRequest(
      'sendInitialEvents: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
    )
  }
  if (sendInitialEvents === undefined && resourceVersionMatch) {
    throw badRequest(
      'resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
    )
  }
}

/** What the watcher sees of an event; undefined when it is none of his. */
function selected(selection: Selection, event: CacheEvent<KubeObject>): WatchedEvent | undefined {
  const before = event.previous !== undefined && selection.matches(event.previous)
  if (event.type === 'delete') {
    return before || event.previous === undefined ? deletion(selection, event) : undefined
  }
  const now = selection.matches(event.value)
  if (now) return { type: before ? 'MODIFIED' : 'ADDED', object: event.value }
  if (!before || !event.previous) return undefined
  // It no longer matches: the watcher gets the last state that did, at the revision of the change.
  const { previous } = event
  return { type: 'DELETED', object: atRevision({ ...previous, metadata: { ...previous.metadata } }, event.revision) }
}

function deletion(selection: Selection, event: CacheEvent<KubeObject>): WatchedEvent | undefined {
  return selection.matches(event.value) ? { type: 'DELETED', object: event.value } : undefined
}
