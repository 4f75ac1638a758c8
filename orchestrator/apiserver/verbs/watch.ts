import { hasCode } from '../../../runtime/base/errors.ts'
import { expired } from '../../api/status.ts'
import type { KubeObject } from '../../api/types.ts'
import type { CacheEvent } from '../../store/watch-cache.ts'
import { atRevision } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { type Selection, type SelectorTexts, selectionOf } from '../selection.ts'
import { reachNewest } from '../stored.ts'
import type { Collection } from './create.ts'
import { parseRevision, reachRevision } from './get.ts'
import { prefixOf } from './list.ts'
import { checkWatch, type RevisionQuery, startsWithState } from './list-options.ts'

export interface WatchQuery extends SelectorTexts, RevisionQuery {
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

/** A watch that may begin. */
export interface WatchPlan {
  readonly collection: Collection
  readonly query: WatchQuery
  readonly selection: Selection
  /** Events after this; 0 where the query does not say. */
  readonly asked: number
}

/** Throws BAD_REQUEST, INVALID for what cannot be watched so: after this, what goes wrong is an event of the watch. */
export function planWatch(collection: Collection, query: WatchQuery): WatchPlan {
  checkWatch(query)
  const selection = selectionOf(collection.servedAs ?? collection.kind, query)
  return { collection, query, selection, asked: parseRevision(query.resourceVersion) }
}

/**
 * Delivers every change of what is watched, each once and in order, as soon as it is durable. An object that begins or
 * ceases to match is ADDED or DELETED. Throws GONE when the revision was compacted away, TIMEOUT when the state was
 * asked for at one that is not there yet.
 */
export function watchObjects(
  registry: Registry,
  plan: WatchPlan,
  deliver: (event: WatchedEvent) => void,
): Promise<Watching> {
  const follow = startsWithState(plan.query) ? watchFromState : watchFromRevision
  return follow(registry, plan, deliver)
}

async function watchFromState(
  registry: Registry,
  plan: WatchPlan,
  deliver: (event: WatchedEvent) => void,
): Promise<Watching> {
  const { collection, query, selection } = plan
  await reachRevision(registry, query.resourceVersion)
  const cache = registry.cacheOf(collection.kind)
  for (const { value } of cache.listBelow(prefixOf(collection)))
    if (selection.matches(value)) deliver({ type: 'ADDED', object: value })
  const bookmark = (initialEventsEnd: boolean) =>
    deliver({ type: 'BOOKMARK', revision: registry.broadcaster.revision, initialEventsEnd })
  if (query.allowWatchBookmarks) bookmark(true)
  return { bookmark: () => bookmark(false), end: cache.follow(takerFor(plan, deliver)) }
}

async function watchFromRevision(
  registry: Registry,
  plan: WatchPlan,
  deliver: (event: WatchedEvent) => void,
): Promise<Watching> {
  const { collection, query, asked } = plan
  if (!query.resourceVersion) await reachNewest(registry)
  const after = asked === 0 ? registry.broadcaster.revision : asked
  const take = takerFor(plan, deliver)
  // It may be asked for what is to come: what comes before that is not waited for, and not told.
  const takeLater = (event: CacheEvent<KubeObject>) => event.revision > after && take(event)
  const bookmark = () => {
    const { revision } = registry.broadcaster
    if (revision >= after) deliver({ type: 'BOOKMARK', revision, initialEventsEnd: false })
  }
  try {
    return { bookmark, end: await registry.cacheOf(collection.kind).watch(after, takeLater) }
  } catch (error) {
    if (!hasCode(error, 'COMPACTED')) throw error
    throw expired(`too old resource version: ${asked} (${registry.broadcaster.revision})`)
  }
}

function takerFor({ collection, selection }: WatchPlan, deliver: (event: WatchedEvent) => void) {
  const prefix = prefixOf(collection)
  return (event: CacheEvent<KubeObject>) => {
    if (!event.key.startsWith(prefix)) return
    const seen = selected(selection, event)
    if (seen) deliver(seen)
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
