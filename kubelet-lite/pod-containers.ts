/** The containers of a pod's manifest, of all kinds. */
import type { Container, EphemeralContainer, Pod } from '../orchestrator/api/types.ts'

/** Those that a pod is there for, and those that prepare it or run beside it. */
export function ownContainers({ spec }: Pod): Container[] {
  return [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])]
}

/** Added to a running pod to look into it (KEP-277): each runs once, and how it ends means nothing to the pod. */
export function ephemeralContainers({ spec }: Pod): EphemeralContainer[] {
  return spec?.ephemeralContainers ?? []
}

/** All that can be found by their name: no two of a pod share one. */
export function allContainers(pod: Pod): Container[] {
  return [...ownContainers(pod), ...ephemeralContainers(pod)]
}

/** What an event about one container is about, e.g. `spec.initContainers{name}` (upstream: kubelet/container, fieldPath). */
export function fieldPathOf({ spec }: Pod, name: string): string {
  const isIn = (list: readonly { name: string }[] | undefined) => (list ?? []).some((each) => each.name === name)
  if (isIn(spec?.initContainers)) return `spec.initContainers{${name}}`
  return isIn(spec?.ephemeralContainers) ? `spec.ephemeralContainers{${name}}` : `spec.containers{${name}}`
}
