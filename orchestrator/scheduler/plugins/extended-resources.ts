import { milliUnits, parseQuantity } from '../../api/quantity.ts'
import type { Pod } from '../../api/types.ts'
import type { FilterPlugin } from '../framework.ts'

/**
 * Refuses a node that has too little of a resource other than CPU and memory: devices (`example.com/gpu`), huge pages,
 * ephemeral storage. Few pods ask for any, so what the others use is added up only then.
 */
export const extendedResources: FilterPlugin = {
  name: 'NodeResourcesFit',
  filter({ pod }, { node, pods }) {
    const wanted = requestsOf(pod)
    if (wanted.size === 0) return undefined
    const allocatable = (node.status?.allocatable ?? {}) as Record<string, string>
    const lacking = [...wanted].filter(([name, amount]) => {
      const used = [...pods.values()].reduce((sum, other) => sum + (requestsOf(other).get(name) ?? 0), 0)
      return amount > milliUnits(parseQuantity(allocatable[name] ?? '0')) - used
    })
    return lacking.length === 0 ? undefined : lacking.map(([name]) => `Insufficient ${name}`).join(', ')
  },
}

/** In thousandths. An init container has the others' share for itself while it runs; a sidecar has not. */
function requestsOf({ spec }: Pod): Map<string, number> {
  const total = new Map<string, number>()
  const init = spec?.initContainers ?? []
  const add = (container: (typeof init)[number], merge: (old: number, more: number) => number) => {
    for (const [name, text] of Object.entries((container.resources?.requests ?? {}) as Record<string, string>)) {
      const amount = milliUnits(parseQuantity(text))
      if (name !== 'cpu' && name !== 'memory' && amount > 0) total.set(name, merge(total.get(name) ?? 0, amount))
    }
  }
  const plus = (old: number, more: number) => old + more
  for (const container of spec?.containers ?? []) add(container, plus)
  for (const container of init) if (container.restartPolicy === 'Always') add(container, plus)
  for (const container of init) if (container.restartPolicy !== 'Always') add(container, Math.max)
  return total
}
