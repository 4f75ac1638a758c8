import type { Kind } from '../api/kinds/kind.ts'
import { tokenRequestKind } from '../api/kinds/reviews.ts'
import { badRequest, unknownResource } from '../api/status.ts'
import type { Binding, KubeObject, Namespace, ResourceRef, TokenRequest } from '../api/types.ts'
import type { User } from '../api/user.ts'
import type { ApiClient, ListOptions, ObjectKey, WatchEvent, WatchOptions } from '../client/api-client.ts'
import { storeError } from '../store/errors.ts'
import { type DecodeOptions, decodeBody } from './body.ts'
import type { ObjectPlace } from './objects.ts'
import type { Registry } from './registry.ts'
import { bindPod } from './verbs/binding.ts'
import { type Collection, createObject } from './verbs/create.ts'
import { deleteObject } from './verbs/delete.ts'
import { finalizeNamespace } from './verbs/finalize.ts'
import { getObject } from './verbs/get.ts'
import { listObjects } from './verbs/list.ts'
import { patchObject } from './verbs/patch.ts'
import { createToken } from './verbs/token.ts'
import { putObject } from './verbs/update.ts'
import { type WatchedEvent, watchObjects } from './verbs/watch.ts'
import type { WriteOptions } from './verbs/write.ts'

/**
 * The client for the server's own parts: the same verbs and the same admission as over HTTPS, without a socket and
 * without JSON. Objects that it returns are shared and frozen.
 */
export function directClient(registry: Registry, user: User): ApiClient {
  const write: WriteOptions = { user, dryRun: false, manager: user.name, warn: () => {} }
  const kindOf = (resource: ResourceRef<KubeObject>) => kindIn(registry, resource)
  const placeOf = (resource: ResourceRef<KubeObject>, key: ObjectKey) => place(kindOf(resource), key)
  return {
    async get<T extends KubeObject>(resource: ResourceRef<T>, key: ObjectKey) {
      return (await getObject(registry, placeOf(resource, key))) as T
    },
    async list<T extends KubeObject>(resource: ResourceRef<T>, options: ListOptions = {}) {
      const { namespace, ...query } = options
      const { items, revision } = await listObjects(registry, collection(kindOf(resource), namespace), query)
      return { items: items as readonly T[], resourceVersion: String(revision) }
    },
    async create<T extends KubeObject>(resource: ResourceRef<T>, object: T) {
      const at = collection(kindOf(resource), object.metadata?.namespace)
      return (await createObject(registry, at, { ...write, object: decodeBody(at.kind, object, strict) })) as T
    },
    async createSubresource<R extends KubeObject>(
      resource: ResourceRef<KubeObject>,
      key: ObjectKey,
      subresource: string,
      body: KubeObject,
    ) {
      const at = placeOf(resource, key)
      if (subresource === 'token') {
        const tokenRequest = decodeBody<TokenRequest>(tokenRequestKind, body, strict)
        return (await createToken(registry, at, { ...write, tokenRequest })) as KubeObject as R
      }
      if (subresource !== 'binding') throw unknownResource()
      await bindPod(registry, at, { ...write, binding: body as Binding })
      return { kind: 'Status', apiVersion: 'v1' } as R
    },
    async update<T extends KubeObject>(resource: ResourceRef<T>, object: T, subresource?: 'status' | 'finalize') {
      return (await update(registry, kindOf(resource), { object, write, subresource })) as T
    },
    async patch<T extends KubeObject>(resource: ResourceRef<T>, key: ObjectKey, patch: PatchOf) {
      const { type, body, subresource } = patch
      const sub = subresource ? { subresource } : {}
      const request = { ...write, ...strict, ...sub, type, patch: body }
      return (await patchObject(registry, placeOf(resource, key), request)).object as T
    },
    async delete(resource, key, options = {}) {
      await deleteObject(registry, placeOf(resource, key), { ...write, ...options })
    },
    watch: <T extends KubeObject>(resource: ResourceRef<T>, options: WatchOptions) =>
      watchDirectly(registry, kindOf(resource), options) as AsyncIterable<WatchEvent<T>>,
  }
}

type PatchOf = Parameters<ApiClient['patch']>[2]

/** Our own parts do not send fields that nobody knows. */
const strict: DecodeOptions = { fieldValidation: 'Strict', warn: () => {} }

function kindIn(registry: Registry, resource: ResourceRef<KubeObject>): Kind {
  const kind = registry.kinds.find(resource)
  if (!kind) throw unknownResource()
  return kind
}

interface Update {
  readonly object: KubeObject
  readonly write: WriteOptions
  readonly subresource: 'status' | 'finalize' | undefined
}

async function update(registry: Registry, kind: Kind, { object, write, subresource }: Update): Promise<KubeObject> {
  const copy = decodeBody<KubeObject>(kind, object, strict)
  const { name = '', namespace } = object.metadata ?? {}
  const at = place(kind, { name, ...(namespace ? { namespace } : {}) })
  if (subresource !== 'finalize') {
    return (await putObject(registry, at, { ...write, ...(subresource ? { subresource } : {}), object: copy })).object
  }
  if (kind.resource !== 'namespaces') throw unknownResource()
  return finalizeNamespace(registry, at, { ...write, namespace: copy as Namespace })
}

function collection(kind: Kind, namespace: string | undefined): Collection {
  return kind.namespaced && namespace !== undefined ? { kind, namespace } : { kind }
}

function place(kind: Kind, { namespace, name }: ObjectKey): ObjectPlace {
  if (kind.namespaced && namespace === undefined) throw badRequest('namespace must be specified')
  return { ...collection(kind, namespace), name }
}

/** More than this unread, and the reader is cut off: it lists again. */
const largestBacklog = 100_000

async function* watchDirectly(
  registry: Registry,
  kind: Kind,
  options: WatchOptions,
): AsyncGenerator<WatchEvent<KubeObject>> {
  const { namespace, signal, ...query } = options
  const queue: WatchEvent<KubeObject>[] = []
  let wake = () => {}
  const deliver = (event: WatchedEvent) => {
    queue.push(asWatchEvent(event))
    wake()
  }
  const stop = () => wake()
  signal.addEventListener('abort', stop, { once: true })
  const watching = await watchObjects(registry, collection(kind, namespace), { query, deliver })
  try {
    while (!signal.aborted) {
      if (queue.length > largestBacklog)
        throw storeError('SLOW_WATCHER', `watch ${kind.resource}: ${queue.length} events are unread`)
      if (queue.length === 0) {
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      for (const event of queue.splice(0)) {
        if (signal.aborted) return
        yield event
      }
    }
  } finally {
    watching.end()
    signal.removeEventListener('abort', stop)
  }
}

function asWatchEvent(event: WatchedEvent): WatchEvent<KubeObject> {
  if (event.type !== 'BOOKMARK') return event
  return { type: 'BOOKMARK', object: { metadata: { resourceVersion: String(event.revision) } } }
}
