/** What happens when a container has ended (Kubernetes docs: concepts/workloads/pods/pod-lifecycle, restart policy). */
import type { Container as ContainerSpec, Pod } from '../orchestrator/api/types.ts'

/** True for an init container that keeps running beside the pod (KEP-753, native sidecar). */
export function isSidecar(container: ContainerSpec): boolean {
  return container.restartPolicy === 'Always'
}

export interface ContainerEnd {
  exitCode?: number
  /** It was stopped so that it begins again: that it then ended well is no work done. */
  isReplaced?: boolean
}

/**
 * True when the container runs again after it ended so: its own rules first, then its own policy (KEP-5307), then the
 * pod's.
 */
export function runsAgain(pod: Pod, spec: ContainerSpec, { exitCode, isReplaced = false }: ContainerEnd): boolean {
  const failed = exitCode !== 0 || isReplaced
  const init = (pod.spec?.initContainers ?? []).some((each) => each.name === spec.name)
  // An init container that has done its work never runs again, whatever the policy: the next one's turn has come.
  if (init && !isSidecar(spec) && !failed) return false
  if ((spec.restartPolicyRules ?? []).some((rule) => matches(rule, exitCode))) return true
  const policy = spec.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always'
  return policy === 'Always' || (policy === 'OnFailure' && failed)
}

type Rule = NonNullable<ContainerSpec['restartPolicyRules']>[number]

function matches({ action, exitCodes }: Rule, exitCode: number | undefined): boolean {
  if (action !== 'Restart' || !exitCodes || exitCode === undefined) return false
  const listed = (exitCodes.values ?? []).includes(exitCode)
  return exitCodes.operator === 'NotIn' ? !listed : listed
}
