import type { Pod } from '../types.ts'
import type { Problem } from './problem.ts'

export function validatePodUpdate(_pod: Pod, _old: Pod): Problem[] {
  return []
}

export function validatePodStatusUpdate(_pod: Pod, _old: Pod): Problem[] {
  return []
}
