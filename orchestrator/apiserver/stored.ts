/** Writes that keep the cache and the store in step, and speak of objects instead of keys. */
import { hasCode } from '../../runtime/base/errors.ts'
import type { Kind } from '../api/kinds/kind.ts'
import { alreadyExists, conflict, fromStatus, notFound, tooLarge, unavailable } from '../api/status.ts'
import type { KubeObject } from '../api/types.ts'
import type { WriteOptions } from '../store/store.ts'
import { atLaterRevision, atRevision, keyOf, noteJson, type ObjectPlace, storedText, typed } from './objects.ts'
import type { Registry } from './registry.ts'

/** The newest state, frozen and shared. Throws NOT_FOUND. */
export function getStored(registry: Registry, place: ObjectPlace): KubeObject {
  const entry = registry.cacheOf(place.kind).get(keyOf(place))
  if (!entry) throw notFound(place.kind, place.name)
  return entry.value
}

/** The same, whichever server has written it last: for who decides by it. Throws NOT_FOUND, UNAVAILABLE. */
export async function getNewest(registry: Registry, place: ObjectPlace): Promise<KubeObject> {
  const reached = reachNewest(registry)
  if (reached !== undefined) await reached
  return getStored(registry, place)
}

/**
 * Waits until the caches know everything that any server of this store has acknowledged; undefined: they do. Throws
 * UNAVAILABLE.
 */
export function reachNewest(registry: Registry): Promise<void> | undefined {
  const asked = registry.store.revision()
  return typeof asked === 'number' ? undefined : waitFor(asked)
}

async function waitFor(revision: Promise<number>): Promise<void> {
  try {
    await revision
  } catch (error) {
    throw hasCode(error, 'STORE_FAILED') ? unavailable(error.message) : error
  }
}

/** Stores a new object. Takes `object` over: it is frozen afterwards. Throws ALREADY_EXISTS. */
export function createStored(registry: Registry, place: ObjectPlace, object: KubeObject): Promise<KubeObject> {
  return write(registry, place, { object, send: (key, text) => registry.store.create(key, text, lifeOf(place.kind)) })
}

/** Stores the next state of `old`. Takes `object` over. Throws CONFLICT when `old` is no longer the newest. */
export function replaceStored(
  registry: Registry,
  place: ObjectPlace,
  change: { object: KubeObject; old: KubeObject },
): Promise<KubeObject> {
  const expected = Number(change.old.metadata?.resourceVersion)
  return write(registry, place, {
    object: change.object,
    send: (key, text) => registry.store.update(key, text, expected, lifeOf(place.kind)),
  })
}

/** Removes the object whose newest state is `old`; the last state at the revision of its deletion. */
export async function removeStored(registry: Registry, place: ObjectPlace, old: KubeObject): Promise<KubeObject> {
  try {
    const revision = await registry.store.delete(keyOf(place), Number(old.metadata?.resourceVersion))
    return atLaterRevision(old, revision)
  } catch (error) {
    throw asStatus(error, place)
  }
}

/** As kube-apiserver's `--event-ttl`. */
const eventSeconds = 3600

function lifeOf({ resource }: Kind): WriteOptions {
  return resource === 'events' ? { ttlSeconds: eventSeconds } : {}
}

async function write(
  registry: Registry,
  place: ObjectPlace,
  change: { object: KubeObject; send(key: string, text: string): Promise<number> },
): Promise<KubeObject> {
  const key = keyOf(place)
  const cache = registry.cacheOf(place.kind)
  const object = typed(place.kind, change.object)
  const text = storedText(place.kind, object)
  const withdraw = cache.expect(key, text, (revision) => {
    const stored = atRevision(object, revision)
    noteJson(stored, text, revision)
    return stored
  })
  try {
    const revision = await change.send(key, text)
    return Object.isFrozen(object) ? object : atRevision(object, revision)
  } catch (error) {
    throw asStatus(error, place)
  } finally {
    withdraw()
  }
}

/** etcd's default of `--max-request-bytes`. */
const etcdRequestBytes = 1.5 * 1024 * 1024

function asStatus(error: unknown, place: ObjectPlace): unknown {
  if (hasCode(error, 'KEY_EXISTS')) return alreadyExists(place.kind, place.name)
  if (hasCode(error, 'KEY_NOT_FOUND')) return notFound(place.kind, place.name)
  if (hasCode(error, 'REVISION_MISMATCH')) return conflict(place.kind, place.name)
  if (hasCode(error, 'STORE_FAILED')) return unavailable(error.message)
  if (hasCode(error, 'VALUE_TOO_LARGE')) return tooLarge(etcdRequestBytes)
  if (hasCode(error, 'STORE_UNCERTAIN')) {
    const { message } = error
    return fromStatus({ kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 504, reason: 'Timeout', message })
  }
  return error
}
