/** Source: KEP-1287; ValidatePodResize in k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import { isEqual } from '../equal.ts'
import { qosClassOf } from '../quality-of-service.ts'
import type { Container, Pod } from '../types.ts'
import { allOf, invalidValue, none, notAllowed, type Problem } from './problem.ts'
import { validateResources } from './resources.ts'

const resizable = ['cpu', 'memory']

/** What a resize may not do: only cpu and memory change, none is taken away, and the pod keeps its class. */
export function validateResize(pod: Pod, old: Pod): readonly Problem[] {
  const problems = (['containers', 'initContainers'] as const).flatMap((list) =>
    (pod.spec?.[list] ?? []).flatMap((container, at) => {
      const field = `spec.${list}[${at}].resources`
      const before = old.spec?.[list]?.[at]
      return allOf(
        validateResources(container.resources, field),
        before ? validateChange(container, before, field) : none,
      )
    }),
  )
  const isOver = old.status?.phase === 'Succeeded' || old.status?.phase === 'Failed'
  if (isOver) return [...problems, notAllowed('status.phase', `pod in phase ${old.status?.phase} cannot be resized`)]
  const [now, before] = [qosClassOf(pod), old.status?.qosClass ?? qosClassOf(old)]
  return now === before
    ? problems
    : [...problems, invalidValue('status.qosClass', now, 'Pod QOS Class may not change as a result of resizing')]
}

function validateChange(container: Container, before: Container, field: string): readonly Problem[] {
  return (['limits', 'requests'] as const).flatMap((part) => {
    const now = container.resources?.[part] ?? {}
    const earlier = before.resources?.[part] ?? {}
    const removed = Object.keys(earlier).filter((name) => now[name] === undefined)
    const others = [...new Set([...Object.keys(now), ...Object.keys(earlier)])].filter(
      (name) => !resizable.includes(name) && !isEqual(now[name], earlier[name]),
    )
    return allOf(
      removed.map(() => notAllowed(`${field}.${part}`, `resource ${part} cannot be removed`)),
      others.map(() => notAllowed(`${field}.${part}`, 'only cpu and memory resources are mutable')),
    )
  })
}
