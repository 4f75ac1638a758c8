/** Requests for resources: finds the kind, reads the body, calls the verb, presents the result. */
import type { Kind, Verb } from '../api/kinds/kind.ts'
import { own } from '../api/own.ts'
import { methodNotAllowed, notSupported, unknownResource } from '../api/status.ts'
import type { KubeObject } from '../api/types.ts'
import {
  type Answer,
  listAnswer,
  objectAnswer,
  type Presentation,
  type StreamedAnswer,
  statusAnswer,
} from './answer.ts'
import { decodeBody } from './body.ts'
import type { Handler } from './handling.ts'
import { headerOf, type Incoming } from './incoming.ts'
import { outputFormOf } from './negotiate.ts'
import { prettyOf } from './parameters.ts'
import { includeObjectOf, listQueryOf } from './query.ts'
import type { Registry } from './registry.ts'
import type { ResourceRequest } from './request-info.ts'
import { bodyOf, decodeOptions, deleteRequestOf, patchOf, writeOptions } from './requests.ts'
import { storedKindOf, takenBy } from './shown.ts'
import { subresourceHandlers } from './subresources.ts'
import { createObject } from './verbs/create.ts'
import { deleteCollection, deletedStatus, deleteObject } from './verbs/delete.ts'
import { getObject } from './verbs/get.ts'
import { listObjects } from './verbs/list.ts'
import { patchObject } from './verbs/patch.ts'
import { putObject } from './verbs/update.ts'
import { watchAnswer } from './watch-stream.ts'

/** The answer to a request for a resource. Throws a StatusError. */
export function handleResource(
  registry: Registry,
  incoming: Incoming,
  info: ResourceRequest,
): Promise<Answer | StreamedAnswer> {
  const kind = registry.kinds.find(info)
  if (!kind) throw unknownResource()
  refuseUnsupported(kind, info)
  // `namespaces/x` is in the namespace x for the authorizer only.
  const namespace = kind.namespaced && info.namespace !== undefined ? { namespace: info.namespace } : {}
  if (!kind.namespaced && info.namespace !== undefined && kind.resource !== 'namespaces') throw unknownResource()
  const collection = { kind: storedKindOf(kind), ...(kind.conversion ? { servedAs: kind } : {}), ...namespace }
  const place = { ...collection, name: info.name }
  return handlerOf(info)(registry, {
    incoming,
    info,
    kind,
    collection,
    place,
    presentation: presentationOf(registry, incoming),
  })
}

const ofOne: readonly Verb[] = ['update', 'patch']

/** Throws NOT_FOUND, METHOD_NOT_ALLOWED. */
export function refuseUnsupported(kind: Kind, { verb, subresource, namespace, name }: ResourceRequest): void {
  if (subresource !== '') {
    const found = kind.subresources.find(({ name }) => name === subresource)
    if (!found) throw unknownResource()
    if (!found.verbs.includes(verb)) throw methodNotAllowed()
  } else if (!kind.verbs.includes(verb)) throw notSupported(kind, verb)
  // Objects are made in a collection, and changed one by one.
  else if (verb === 'create' ? name !== '' : name === '' && ofOne.includes(verb)) throw methodNotAllowed()
  const needsNamespace = kind.namespaced && !['list', 'watch'].includes(verb)
  // `/api/v1/pods` is there, for reading; no `/api/v1/pods/x` is.
  if (needsNamespace && namespace === undefined) throw name === '' ? methodNotAllowed() : unknownResource()
}

/** In which form the client wants the answer. Throws NOT_ACCEPTABLE. */
export function presentationOf(registry: Registry, incoming: Incoming): Presentation {
  const userAgent = headerOf(incoming, 'user-agent') ?? ''
  // People read what curl and browsers show.
  const isRead = /^(curl|Wget|Mozilla)\//.test(userAgent)
  return {
    form: outputFormOf(headerOf(incoming, 'accept')),
    pretty: prettyOf(incoming.query) ?? isRead,
    includeObject: includeObjectOf(incoming.query),
    now: registry.clock.now(),
  }
}

function handlerOf({ verb, subresource }: ResourceRequest): Handler {
  return own(subresourceHandlers, subresource)?.[verb] ?? handlers[verb]
}

const handlers: Readonly<Record<Verb, Handler>> = {
  async get(registry, { place, incoming, presentation, kind }) {
    const object = await getObject(registry, place, incoming.query.get('resourceVersion') ?? undefined)
    return objectAnswer(kind, object, { ...presentation, status: 200 })
  },
  async list(registry, { collection, incoming, presentation, kind }) {
    const listed = await listObjects(registry, collection, listQueryOf(incoming.query))
    return listAnswer(kind, listed, presentation)
  },
  async watch(registry, { collection, info, incoming, presentation, kind }) {
    return watchAnswer(registry, collection, { incoming, name: info.name, presentation, kind })
  },
  async create(registry, { collection, incoming, presentation, kind }) {
    const object = takenBy(kind, decodeBody<KubeObject>(kind, bodyOf(incoming, kind), decodeOptions(incoming)))
    incoming.notes?.names(object.metadata?.name ?? '')
    const created = await createObject(registry, collection, { ...writeOptions(incoming, kind), object })
    incoming.notes?.names(created.metadata?.name ?? '')
    return objectAnswer(kind, created, { ...presentation, status: 201 })
  },
  async update(registry, { place, info, incoming, presentation, kind }) {
    const object = takenBy(kind, decodeBody<KubeObject>(kind, bodyOf(incoming, kind), decodeOptions(incoming)))
    const result = await putObject(registry, place, { ...writeOptions(incoming, kind), ...subresourceOf(info), object })
    return objectAnswer(kind, result.object, { ...presentation, status: result.created ? 201 : 200 })
  },
  async patch(registry, { place, info, incoming, presentation, kind }) {
    const options = { ...writeOptions(incoming, kind), ...decodeOptions(incoming), ...subresourceOf(info) }
    const { object, created } = await patchObject(registry, place, { ...options, ...patchOf(incoming) })
    return objectAnswer(kind, object, { ...presentation, status: created ? 201 : 200 })
  },
  async delete(registry, { place, incoming, presentation, kind }) {
    const { object, gone } = await deleteObject(registry, place, deleteRequestOf(incoming))
    // As in Kubernetes: pods and what still waits come back as they are, the rest as a Status.
    if (!gone || kind.resource === 'pods') return objectAnswer(kind, object, { ...presentation, status: 200 })
    return statusAnswer(deletedStatus(place, object), presentation)
  },
  async deletecollection(registry, { collection, incoming, presentation, kind }) {
    const request = { ...deleteRequestOf(incoming), query: listQueryOf(incoming.query) }
    const items = await deleteCollection(registry, collection, request)
    return listAnswer(kind, { items, revision: registry.broadcaster.revision }, presentation)
  },
}

const subresourceOf = ({ subresource }: ResourceRequest) => (subresource === '' ? {} : { subresource })
