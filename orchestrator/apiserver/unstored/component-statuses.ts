/** `kubectl get componentstatuses`: old, but still asked for. Source: k8s.io/kubernetes/pkg/registry/core/componentstatus. */
import { notFound } from '../../api/status.ts'
import type { ComponentStatus } from '../../api/types.ts'
import { listAnswer, objectAnswer } from '../answer.ts'
import type { HealthChecks } from '../paths.ts'
import type { UnstoredHandler } from './unstored.ts'

/** One row for each health check of the server. */
export const answerComponentStatuses: UnstoredHandler = async ({ registry, checks }, request) => {
  const { kind, info, presentation } = request
  const all = statusesOf(checks)
  if (info.verb === 'list')
    return listAnswer(kind, { items: all, revision: registry.broadcaster.revision }, presentation)
  const found = all.find(({ metadata }) => metadata?.name === info.name)
  if (!found) throw notFound(kind, info.name)
  return objectAnswer(kind, found, { ...presentation, status: 200 })
}

function statusesOf(checks: HealthChecks): ComponentStatus[] {
  return Object.entries(checks).map(([name, check]) => ({
    kind: 'ComponentStatus',
    apiVersion: 'v1',
    metadata: { name },
    conditions: [conditionOf(check)],
  }))
}

function conditionOf(check: () => void) {
  try {
    check()
    return { type: 'Healthy', status: 'True', message: 'ok' }
  } catch {
    return { type: 'Healthy', status: 'False', message: 'reason withheld' }
  }
}
