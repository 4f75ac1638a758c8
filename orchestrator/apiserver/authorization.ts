import { parseFieldSelector } from '../api/selectors/field.ts'
import { forbidden } from '../api/status.ts'
import { type Attributes, type Authorizer, type Decision, refusalOf } from '../auth/authorize.ts'
import type { Incoming } from './incoming.ts'
import type { RequestInfo } from './request-info.ts'

const ofCollections = ['list', 'watch', 'deletecollection']

/** What an authorizer is asked. A collection of which a field selector picks one object is asked for by its name. */
export function attributesOf(
  { user, path, query }: Pick<Incoming, 'user' | 'path' | 'query'>,
  info: RequestInfo,
): Attributes {
  if (info.type === 'path') return { user, verb: info.verb, path }
  const { group, resource, subresource, namespace, verb } = info
  const selector = ofCollections.includes(verb) ? query.get('fieldSelector') : null
  const fields = selector ? demandedBy(selector) : {}
  const asked = {
    group,
    resource,
    subresource,
    name: info.name || (fields['metadata.name'] ?? ''),
    ...(namespace ? { namespace } : {}),
    ...(selector ? { fields } : {}),
  }
  return { user, verb, path, resource: asked }
}

/** Which fields have to be equal to what. A selector that cannot be read demands nothing: the verb says what is wrong with it. */
export function demandedBy(selector: string): Record<string, string> {
  try {
    const demands = parseFieldSelector(selector).filter(({ equal }) => equal)
    return Object.fromEntries(demands.map(({ field, value }) => [field, value]))
  } catch {
    return {}
  }
}

/** Throws FORBIDDEN. */
export function refuseUnlessAllowed(authorizer: Authorizer, attributes: Attributes): Decision {
  const decision = authorizer.decide(attributes)
  if (decision.allowed) return decision
  throw refusal(attributes, decision)
}

/** The error for what is not allowed. */
export function refusal(attributes: Attributes, { reason }: Decision): Error {
  const { group = '', resource = '', name = '' } = attributes.resource ?? {}
  return forbidden({ group, resource }, name, refusalOf(attributes, reason))
}
