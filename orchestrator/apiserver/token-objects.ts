import { secretKind, serviceAccountKind } from '../api/kinds/config.ts'
import type { Kind } from '../api/kinds/kind.ts'
import { nodeKind } from '../api/kinds/node.ts'
import { podKind } from '../api/kinds/pod.ts'
import type { TokenObjects } from '../auth/tokens/service-account.ts'
import type { ObjectCache } from './registry.ts'

const kinds = {
  nodes: nodeKind as unknown as Kind,
  pods: podKind as unknown as Kind,
  secrets: secretKind as unknown as Kind,
  serviceaccounts: serviceAccountKind as unknown as Kind,
} as const

/** The objects that tokens are bound to, as the caches have them: a token ends the moment its pod does. */
export function tokenObjects(cacheOf: (kind: Kind) => ObjectCache): TokenObjects {
  return {
    find(resource, name, namespace) {
      const kind = kinds[resource]
      return cacheOf(kind).get(`${kind.storedAt}${namespace === undefined ? name : `${namespace}/${name}`}`)?.value
    },
  }
}
