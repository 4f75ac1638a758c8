import type { Pod } from '../types.ts'
import { type Problem, required } from './problem.ts'

/** What is wrong with a pod. */
export function validatePod(pod: Pod): Problem[] {
  return pod.spec?.containers?.length ? [] : [required('spec.containers')]
}
