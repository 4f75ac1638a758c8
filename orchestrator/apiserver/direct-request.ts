/**
 * What our own parts ask for by direct call goes the way of any request: may he, and what became of it. Only bytes,
 * and the limits that keep strangers from taking all, are left out.
 */
import type { Verb } from '../api/kinds/kind.ts'
import type { Part } from '../api/parts.ts'
import { toStatus } from '../api/status.ts'
import type { KubeObject, ResourceRef } from '../api/types.ts'
import { pathOf, queryOf } from '../client/resource-path.ts'
import type { Audit, RequestAudit } from './audit.ts'
import { attributesOf, refusal } from './authorization.ts'
import type { RequestNotes } from './incoming.ts'
import type { Registry } from './registry.ts'

export interface DirectCaller {
  readonly registry: Pick<Registry, 'authorizer'>
  readonly part: Part
  readonly audit?: Audit | undefined
}

export interface DirectRequest {
  readonly verb: Verb
  readonly resource: ResourceRef<KubeObject>
  readonly namespace?: string | undefined
  /** Of one object; of a collection when left out. */
  readonly name?: string | undefined
  readonly subresource?: string | undefined
  readonly labelSelector?: string
  readonly fieldSelector?: string
  /** What else the query of such a request says. */
  readonly query?: Readonly<Record<string, string>>
}

const methods: Readonly<Record<Verb, string>> = {
  get: 'GET',
  list: 'GET',
  watch: 'GET',
  create: 'POST',
  update: 'PUT',
  patch: 'PATCH',
  delete: 'DELETE',
  deletecollection: 'DELETE',
}

const codes: Partial<Record<Verb, number>> = { create: 201 }

/** Resolves to what `act` does, when `caller` may have it done. Throws FORBIDDEN, and what `act` throws. */
export async function asked<T>(
  caller: DirectCaller,
  request: DirectRequest,
  act: (notes: RequestNotes | undefined) => Promise<T>,
): Promise<T> {
  const record = admit(caller, request)
  if (!record) return act(undefined)
  try {
    const done = await act(record)
    record.complete({ code: codes[request.verb] ?? 200 })
    return done
  } catch (error) {
    record.complete(toStatus(error))
    throw error
  }
}

/** The same for what goes on until its reader has enough. */
export async function* followed<T>(
  caller: DirectCaller,
  request: DirectRequest,
  events: () => AsyncIterable<T>,
): AsyncGenerator<T> {
  const record = admit(caller, request)
  record?.begun()
  try {
    yield* events()
  } catch (error) {
    record?.complete(toStatus(error))
    throw error
  } finally {
    record?.complete({ code: 200 })
  }
}

/** Throws FORBIDDEN, which is then written down. */
function admit({ registry, part, audit }: DirectCaller, request: DirectRequest): RequestAudit | undefined {
  const { verb, resource, namespace, name, subresource, query: also, ...selectors } = request
  const { user, manager } = part
  const query = queryOf(selectors, also)
  const path = pathOf(resource, placeOf(request))
  const info = {
    type: 'resource' as const,
    verb,
    group: resource.group,
    version: resource.version,
    resource: resource.resource,
    subresource: subresource ?? '',
    name: name ?? '',
    rest: [],
    ...namespaceOf(resource, namespace, name),
  }
  const record = audit?.begin({ method: methods[verb], path, query, headers: { 'user-agent': manager } })
  record?.means(info)
  record?.by(user)
  const attributes = attributesOf({ user, path, query }, info)
  const decision = registry.authorizer.decide(attributes)
  record?.decided(decision)
  if (decision.allowed) return record
  const error = refusal(attributes, decision)
  record?.complete(toStatus(error))
  throw error
}

function placeOf({ namespace, name, subresource }: DirectRequest) {
  return {
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    ...(subresource === undefined ? {} : { subresource }),
  }
}

/** As `request-info.ts` reads it from a path: a namespace is in itself. */
function namespaceOf({ resource, namespaced }: ResourceRef<KubeObject>, namespace?: string, name?: string) {
  const found = resource === 'namespaces' ? name : namespaced ? namespace : undefined
  return found ? { namespace: found } : {}
}
