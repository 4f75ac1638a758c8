import { type Clock, systemClock } from '../../runtime/base/clock.ts'
import { hasCode, messageOf } from '../../runtime/base/errors.ts'
import { type Log, silentLog } from '../../runtime/base/log.ts'
import type { KubeObject, ResourceRef } from '../api/types.ts'
import type { ApiClient, WatchEvent } from './api-client.ts'

export interface InformerOptions<T extends KubeObject> {
  readonly client: ApiClient
  readonly resource: ResourceRef<T>
  readonly namespace?: string
  readonly fieldSelector?: string
  readonly labelSelector?: string
  /** Called with the key of whatever was added, changed or removed; look it up with `get`. Must not throw. */
  onChange(key: string): void
  /** Values under which objects are found with `byIndex`, by the name of the index. */
  readonly indexes?: Readonly<Record<string, (object: T) => readonly string[]>>
  readonly clock?: Clock
  readonly log?: Log
}

const shortestBackoff = 100
const longestBackoff = 30_000

/** `namespace/name`, or `name` for a kind of the cluster. */
export function keyOfObject({ metadata }: KubeObject): string {
  const { namespace, name = '' } = metadata ?? {}
  return namespace ? `${namespace}/${name}` : name
}

/** The namespace (unset for a kind of the cluster) and name of a key. */
export function splitKey(key: string): { namespace?: string; name: string } {
  const at = key.indexOf('/')
  return at < 0 ? { name: key } : { namespace: key.slice(0, at), name: key.slice(at + 1) }
}

/**
 * All objects that a selection selects, in memory and kept up to date: list, then watch from there. A watch that ends
 * is taken up at the last revision; only when that is gone everything is listed again. Handlers get keys, not events:
 * what is to be done is decided from what is there.
 */
export class Informer<T extends KubeObject> {
  readonly #options: InformerOptions<T>
  readonly #clock: Clock
  readonly #log: Log
  readonly #objects = new Map<string, T>()
  readonly #indexes = new Map<string, Map<string, Set<string>>>()
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #revision = ''

  constructor(options: InformerOptions<T>) {
    this.#options = options
    this.#clock = options.clock ?? systemClock
    this.#log = options.log ?? silentLog
    for (const name of Object.keys(options.indexes ?? {})) this.#indexes.set(name, new Map())
  }

  /** Resolves when the first list is in memory and its keys were told; rejects only when closed before that. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#running ??= this.#run(resolve).finally(() => reject(this.#stop.signal.reason))
    })
  }

  get(key: string): T | undefined {
    return this.#objects.get(key)
  }

  list(): T[] {
    return [...this.#objects.values()]
  }

  /** The objects for which the index function gave `value`. */
  byIndex(index: string, value: string): T[] {
    const keys = this.#indexes.get(index)?.get(value) ?? []
    return [...keys].flatMap((key) => this.#objects.get(key) ?? [])
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error(`the informer for ${this.#options.resource.resource} is closed`))
    await this.#running
  }

  async #run(onSynced: () => void): Promise<void> {
    const { signal } = this.#stop
    let backoff = shortestBackoff
    while (!signal.aborted) {
      try {
        if (this.#revision === '') {
          await this.#relist()
          onSynced()
        }
        if (await this.#follow()) backoff = shortestBackoff
      } catch (error) {
        if (signal.aborted) return
        if (hasCode(error, 'GONE')) this.#revision = ''
        else this.#log.warn('watch again', { resource: this.#options.resource.resource, error: messageOf(error) })
        await this.#clock.sleep(backoff * (0.75 + Math.random() / 2), signal).catch(() => {})
        backoff = Math.min(backoff * 2, longestBackoff)
      }
    }
  }

  async #relist(): Promise<void> {
    const { client, resource } = this.#options
    const { items, resourceVersion } = await client.list(resource, this.#selection())
    const found = new Map(items.map((object) => [keyOfObject(object), object]))
    for (const key of [...this.#objects.keys()]) if (!found.has(key)) this.#remove(key)
    for (const [key, object] of found) this.#put(key, object)
    this.#revision = resourceVersion
  }

  /** True if anything came. */
  async #follow(): Promise<boolean> {
    const { client, resource } = this.#options
    const { signal } = this.#stop
    let came = false
    const watched = client.watch(resource, { ...this.#selection(), resourceVersion: this.#revision, signal })
    for await (const event of watched) {
      came = true
      this.#take(event)
    }
    return came
  }

  #selection() {
    const { namespace, fieldSelector, labelSelector } = this.#options
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
      ...(labelSelector === undefined ? {} : { labelSelector }),
    }
  }

  #take(event: WatchEvent<T>): void {
    const { resourceVersion } = event.object.metadata ?? {}
    if (event.type === 'DELETED') this.#remove(keyOfObject(event.object))
    else if (event.type !== 'BOOKMARK') this.#put(keyOfObject(event.object), event.object)
    if (resourceVersion) this.#revision = resourceVersion
  }

  #put(key: string, object: T): void {
    const before = this.#objects.get(key)
    if (
      before?.metadata?.resourceVersion === object.metadata?.resourceVersion &&
      before?.metadata?.uid === object.metadata?.uid
    )
      return
    if (before) this.#unindex(key, before)
    this.#objects.set(key, object)
    for (const [name, valuesOf] of Object.entries(this.#options.indexes ?? {})) {
      const index = this.#indexes.get(name)
      for (const value of valuesOf(object)) index?.set(value, (index.get(value) ?? new Set()).add(key))
    }
    this.#options.onChange(key)
  }

  #remove(key: string): void {
    const before = this.#objects.get(key)
    if (!before) return
    this.#unindex(key, before)
    this.#objects.delete(key)
    this.#options.onChange(key)
  }

  #unindex(key: string, object: T): void {
    for (const [name, valuesOf] of Object.entries(this.#options.indexes ?? {})) {
      const index = this.#indexes.get(name)
      for (const value of valuesOf(object)) {
        const keys = index?.get(value)
        keys?.delete(key)
        if (keys?.size === 0) index?.delete(value)
      }
    }
  }
}
