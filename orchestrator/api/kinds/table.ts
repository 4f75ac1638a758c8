import type { KubeObject } from '../types.ts'
import { configMapKind, secretKind, serviceAccountKind } from './config.ts'
import { eventKind } from './event.ts'
import type { Kind } from './kind.ts'
import { leaseKind } from './lease.ts'
import { namespaceKind } from './namespace.ts'
import { nodeKind } from './node.ts'
import { podKind } from './pod.ts'
import { endpointSliceKind, endpointsKind, serviceKind } from './service.ts'

/** Every kind that is served from the start. A kind that is defined at run time becomes one more row. */
export const builtInKinds: readonly Kind[] = [
  row(configMapKind),
  row(endpointsKind),
  row(eventKind),
  row(namespaceKind),
  row(nodeKind),
  row(podKind),
  row(secretKind),
  row(serviceAccountKind),
  row(serviceKind),
  row(leaseKind),
  row(endpointSliceKind),
]

/** The machinery hands a kind's functions only objects that were decoded by its own definition. */
function row<T extends KubeObject>(kind: Kind<T>): Kind {
  return kind as unknown as Kind
}

/** The rows, found by their place in the API. */
export class KindTable {
  readonly #byPlace = new Map<string, Kind>()

  constructor(kinds: readonly Kind[]) {
    for (const kind of kinds) this.#byPlace.set(placeOf(kind), kind)
  }

  all(): Kind[] {
    return [...this.#byPlace.values()]
  }

  find(place: { group: string; version: string; resource: string }): Kind | undefined {
    return this.#byPlace.get(placeOf(place))
  }
}

function placeOf({ group, version, resource }: { group: string; version: string; resource: string }): string {
  return `${group}/${version}/${resource}`
}

/** `v1`, `coordination.k8s.io/v1`. */
export function apiVersionOf({ group, version }: { group: string; version: string }): string {
  return group === '' ? version : `${group}/${version}`
}
