import type { Kind } from '../api/kinds/kind.ts'
import { tokenRequestKind } from '../api/kinds/reviews.ts'
import type { Part } from '../api/parts.ts'
import { badRequest, unknownResource } from '../api/status.ts'
import type { Binding, KubeObject, Namespace, ResourceRef, TokenRequest } from '../api/types.ts'
import type { ApiClient, ListOptions, ObjectKey, WatchEvent, WatchOptions } from '../client/api-client.ts'
import { storeError } from '../store/errors.ts'
import type { Audit } from './audit.ts'
import { type DecodeOptions, decodeBody } from './body.ts'
import { asked, type DirectCaller, followed } from './direct-request.ts'
import type { RequestNotes } from './incoming.ts'
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
import { planWatch, type WatchedEvent, watchObjects } from './verbs/watch.ts'
import type { WriteOptions } from './verbs/write.ts'

/**
 * The client for one of the server's own parts: asked for its rights, taken down, and served by the same verbs with the
 * same admission as over HTTPS, without a socket and without JSON. Objects that it returns are shared and frozen.
 */
export function directClient(registry: Registry, part: Part, audit?: Audit): ApiClient {
  const caller: Caller = { registry, part, audit }
  return { ...reads(caller), ...writes(caller) }
}

type Caller = DirectCaller & { readonly registry: Registry }

function reads(caller: Caller): Pick<ApiClient, 'get' | 'list' | 'watch'> {
  const { registry } = caller
  return {
    get: <T extends KubeObject>(resource: ResourceRef<T>, key: ObjectKey) =>
      asked(
        caller,
        { verb: 'get', resource, ...key },
        async () => (await getObject(registry, placeIn(registry, resource, key))) as T,
      ),
    list: <T extends KubeObject>(resource: ResourceRef<T>, options: ListOptions = {}) =>
      asked(caller, { verb: 'list', resource, ...options }, async () => {
        const { namespace, ...query } = options
        const { items, revision } = await listObjects(
          registry,
          collection(kindIn(registry, resource), namespace),
          query,
        )
        return { items: items as readonly T[], resourceVersion: String(revision) }
      }),
    watch: <T extends KubeObject>(resource: ResourceRef<T>, { signal, ...options }: WatchOptions) =>
      followed(
        caller,
        { verb: 'watch', resource, ...options, query: { watch: '1', resourceVersion: options.resourceVersion } },
        () =>
          watchDirectly(registry, kindIn(registry, resource), { ...options, signal }) as AsyncIterable<WatchEvent<T>>,
      ),
  }
}

function writes(caller: Caller): Omit<ApiClient, 'get' | 'list' | 'watch'> {
  const { registry, part } = caller
  const optionsOf = (notes: RequestNotes | undefined) => writeOptionsOf(part, notes)
  return {
    create<T extends KubeObject>(resource: ResourceRef<T>, object: T) {
      const { namespace, name = '' } = object.metadata ?? {}
      return asked(caller, { verb: 'create', resource, namespace }, async (notes) => {
        notes?.names(name)
        const at = collection(kindIn(registry, resource), namespace)
        const decoded = decodeBody<T>(at.kind, object, strict)
        const created = (await createObject(registry, at, { ...optionsOf(notes), object: decoded })) as T
        notes?.names(created.metadata?.name ?? '')
        return created
      })
    },
    createSubresource: <R extends KubeObject>(
      resource: ResourceRef<KubeObject>,
      key: ObjectKey,
      subresource: string,
      body: KubeObject,
    ) =>
      asked(
        caller,
        { verb: 'create', resource, ...key, subresource },
        async (notes) =>
          (await makeSubresource(registry, placeIn(registry, resource, key), {
            subresource,
            body,
            write: optionsOf(notes),
          })) as R,
      ),
    update<T extends KubeObject>(resource: ResourceRef<T>, object: T, subresource?: 'status' | 'finalize') {
      const { name, namespace } = object.metadata ?? {}
      return asked(
        caller,
        { verb: 'update', resource, namespace, name, subresource },
        async (notes) =>
          (await update(registry, kindIn(registry, resource), { object, write: optionsOf(notes), subresource })) as T,
      )
    },
    patch<T extends KubeObject>(resource: ResourceRef<T>, key: ObjectKey, { type, body, subresource }: PatchOf) {
      return asked(caller, { verb: 'patch', resource, ...key, subresource }, async (notes) => {
        const request = { ...optionsOf(notes), ...strict, ...(subresource ? { subresource } : {}), type, patch: body }
        return (await patchObject(registry, placeIn(registry, resource, key), request)).object as T
      })
    },
    delete: (resource, key, options = {}) =>
      asked(caller, { verb: 'delete', resource, ...key }, async (notes) => {
        await deleteObject(registry, placeIn(registry, resource, key), { ...optionsOf(notes), ...options })
      }),
  }
}

function writeOptionsOf({ user, manager }: Part, notes: RequestNotes | undefined): WriteOptions {
  const annotate = notes ? { annotate: notes.annotate.bind(notes) } : {}
  return { user, dryRun: false, manager, warn: () => {}, ...annotate }
}

interface NewSubresource {
  readonly subresource: string
  readonly body: KubeObject
  readonly write: WriteOptions
}

/** What is made below an object, and what is answered. Throws NOT_FOUND for what there is not. */
async function makeSubresource(
  registry: Registry,
  at: ObjectPlace,
  { subresource, body, write }: NewSubresource,
): Promise<KubeObject> {
  if (subresource === 'token') {
    const tokenRequest = decodeBody<TokenRequest>(tokenRequestKind, body, strict)
    return (await createToken(registry, at, { ...write, tokenRequest })) as KubeObject
  }
  if (subresource !== 'binding') throw unknownResource()
  await bindPod(registry, at, { ...write, binding: body as Binding })
  return { kind: 'Status', apiVersion: 'v1' } as KubeObject
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

const placeIn = (registry: Registry, resource: ResourceRef<KubeObject>, key: ObjectKey) =>
  place(kindIn(registry, resource), key)

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
  const watching = await watchObjects(registry, planWatch(collection(kind, namespace), query), deliver)
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
