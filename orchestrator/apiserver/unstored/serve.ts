import { own } from '../../api/own.ts'
import type { Answer } from '../answer.ts'
import { headerOf, type Incoming } from '../incoming.ts'
import { formWithoutTables } from '../negotiate.ts'
import type { ResourceRequest } from '../request-info.ts'
import { presentationOf, refuseUnsupported } from '../resource-handler.ts'
import type { Serving } from '../serving.ts'
import { answerComponentStatuses } from './component-statuses.ts'
import { answerNodeMetrics, answerPodMetrics } from './metrics.ts'
import { answerLocalSubjectAccess, answerSelfSubjectAccess, answerSubjectAccess } from './reviews/access.ts'
import { answerSelfSubject, answerToken } from './reviews/identity.ts'
import { answerSelfSubjectRules } from './reviews/rules.ts'
import type { UnstoredHandler } from './unstored.ts'

/** By `group/resource`. */
const handlers: Readonly<Record<string, UnstoredHandler>> = {
  '/componentstatuses': answerComponentStatuses,
  'authentication.k8s.io/selfsubjectreviews': answerSelfSubject,
  'authentication.k8s.io/tokenreviews': answerToken,
  'authorization.k8s.io/localsubjectaccessreviews': answerLocalSubjectAccess,
  'authorization.k8s.io/selfsubjectaccessreviews': answerSelfSubjectAccess,
  'authorization.k8s.io/selfsubjectrulesreviews': answerSelfSubjectRules,
  'authorization.k8s.io/subjectaccessreviews': answerSubjectAccess,
  'metrics.k8s.io/nodes': answerNodeMetrics,
  'metrics.k8s.io/pods': answerPodMetrics,
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
  const presentation = presentationOf(serving.registry, incoming)
  if (kind.verbs.includes('list')) return handler(serving, { incoming, info, kind, presentation })
  const form = formWithoutTables(headerOf(incoming, 'accept'))
  return handler(serving, { incoming, info, kind, presentation: { ...presentation, form } })
}
