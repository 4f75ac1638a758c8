import { forbidden } from '../api/status.ts'
import { type Attributes, type Authorizer, refusalOf } from '../auth/authorize.ts'
import type { Incoming } from './incoming.ts'
import type { RequestInfo } from './request-info.ts'

/** What an authorizer is asked. */
export function attributesOf({ user, path }: Pick<Incoming, 'user' | 'path'>, info: RequestInfo): Attributes {
  if (info.type === 'path') return { user, verb: info.verb, path }
  const { group, resource, subresource, namespace, name, verb } = info
  return { user, verb, path, resource: { group, resource, subresource, name, ...(namespace ? { namespace } : {}) } }
}

/** Throws FORBIDDEN. */
export function refuseUnlessAllowed(authorizer: Authorizer, attributes: Attributes): void {
  if (authorizer.isAllowed(attributes)) return
  const { group = '', resource = '', name = '' } = attributes.resource ?? {}
  throw forbidden({ group, resource }, name, refusalOf(attributes))
}
