import type { Service } from '../types.ts'
import type { Problem } from './problem.ts'

export function validateService(_service: Service): Problem[] {
  return []
}

export function validateServiceUpdate(_service: Service, _old: Service): Problem[] {
  return []
}
