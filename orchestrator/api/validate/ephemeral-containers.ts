/** Source: ValidatePodEphemeralContainersUpdate in k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import { isEqual } from '../equal.ts'
import type { Pod } from '../types.ts'
import { validateEphemeral } from './container.ts'
import { allOf, none, notAllowed, type Problem } from './problem.ts'

/** Ephemeral containers are only ever added. */
export function validateEphemeralContainers(pod: Pod, old: Pod): readonly Problem[] {
  const field = 'spec.ephemeralContainers'
  const next = pod.spec?.ephemeralContainers ?? []
  const changed = (old.spec?.ephemeralContainers ?? []).flatMap((container): readonly Problem[] => {
    const now = next.find(({ name }) => name === container.name)
    const what = `existing ephemeral containers ${JSON.stringify(container.name)} may not be`
    if (!now) return [notAllowed(field, `${what} removed\n`)]
    return isEqual(now, container) ? [] : [notAllowed(field, `${what} changed\n`)]
  })
  return allOf(pod.spec ? validateEphemeral(pod.spec) : none, changed)
}
