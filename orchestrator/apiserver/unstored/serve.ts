/** Kinds of which nothing is stored: what they show is found out when somebody asks. */
import type { Kind } from '../../api/kinds/kind.ts'
import { own } from '../../api/own.ts'
import type { Answer, Presentation } from '../answer.ts'
import type { Serving } from '../handler.ts'
import type { Incoming } from '../incoming.ts'
import type { ResourceRequest } from '../request-info.ts'
import { presentationOf, refuseUnsupported } from '../resource-handler.ts'
import { answerComponentStatuses } from './component-statuses.ts'

export interface UnstoredRequest {
  readonly incoming: Incoming
  readonly info: ResourceRequest
  readonly kind: Kind
  readonly presentation: Presentation
}

export type UnstoredHandler = (serving: Serving, request: UnstoredRequest) => Promise<Answer>

/** By `group/resource`. */
const handlers: Readonly<Record<string, UnstoredHandler>> = {
  '/componentstatuses': answerComponentStatuses,
}

/** The answer to a request for such a kind; undefined for all others. Throws a StatusError. */
export function handleUnstored(
  serving: Serving,
  incoming: Incoming,
  info: ResourceRequest,
): Promise<Answer> | undefined {
  const kind = serving.registry.kinds.find(info)
  if (kind?.storedAt !== '') return undefined
  refuseUnsupported(kind, info)
  const handler = own(handlers, `${kind.group}/${kind.resource}`)
  if (!handler) throw new Error(`answer for ${kind.resource}: nobody does`)
  return handler(serving, { incoming, info, kind, presentation: presentationOf(serving.registry, incoming) })
}
