import type { KubeObject, ResourceRef } from '../api/types.ts'

/** One object's place. `namespace` is left out for cluster-scoped resources. */
export interface ObjectKey {
  namespace?: string
  name: string
}

export interface ListOptions {
  /** All namespaces when left out. */
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
}

export interface ObjectList<T> {
  items: readonly T[]
  resourceVersion: string
}

export interface WatchOptions extends ListOptions {
  /** Events after this revision. Throws code `GONE` (410) when it was compacted away: list again. */
  resourceVersion: string
  signal: AbortSignal
}

export type WatchEvent<T> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T }
  | { type: 'BOOKMARK'; object: { metadata: { resourceVersion: string } } }

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply'

export interface DeleteOptions {
  gracePeriodSeconds?: number
  preconditions?: { uid?: string; resourceVersion?: string }
}

/**
 * What every part of Coracle uses to reach the API: over HTTPS from another process, or by direct call inside the
 * server's process, where the objects are shared and frozen. Errors are CoracleErrors whose `code` is the
 * Kubernetes reason in UPPER_SNAKE (`NOT_FOUND`, `ALREADY_EXISTS`, `CONFLICT`, `INVALID`, `FORBIDDEN`, `GONE`, …),
 * with `facts.status` the HTTP status; `retryable` is true for 429 and 5xx and for a lost connection.
 */
export interface ApiClient {
  get<T extends KubeObject>(resource: ResourceRef<T>, key: ObjectKey): Promise<T>
  list<T extends KubeObject>(resource: ResourceRef<T>, options?: ListOptions): Promise<ObjectList<T>>
  create<T extends KubeObject>(resource: ResourceRef<T>, object: T): Promise<T>
  /** POSTs to `<resource>/<name>/<subresource>`, e.g. a pod's `binding` or a service account's `token`; what is answered. */
  createSubresource<R extends KubeObject>(
    resource: ResourceRef<KubeObject>,
    key: ObjectKey,
    subresource: string,
    body: KubeObject,
  ): Promise<R>
  /** `finalize` is for namespaces only: it replaces `spec.finalizers`. */
  update<T extends KubeObject>(resource: ResourceRef<T>, object: T, subresource?: 'status' | 'finalize'): Promise<T>
  patch<T extends KubeObject>(
    resource: ResourceRef<T>,
    key: ObjectKey,
    patch: { type: PatchType; body: unknown; subresource?: 'status' },
  ): Promise<T>
  delete<T extends KubeObject>(resource: ResourceRef<T>, key: ObjectKey, options?: DeleteOptions): Promise<void>
  /** Ends without error when `signal` aborts; throws when the connection is lost. */
  watch<T extends KubeObject>(resource: ResourceRef<T>, options: WatchOptions): AsyncIterable<WatchEvent<T>>
}
