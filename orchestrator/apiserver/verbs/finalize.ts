/** `PUT namespaces/x/finalize`: how the namespace controller says that a namespace is empty. */
import type { KubeObject, Namespace } from '../../api/types.ts'
import { copyOf, type ObjectPlace } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { updateObject } from './update.ts'
import type { WriteOptions } from './write.ts'

/** Replaces `spec.finalizers`; a namespace that ends and has none left is removed. Throws NOT_FOUND, CONFLICT. */
export function finalizeNamespace(
  registry: Registry,
  place: ObjectPlace,
  request: WriteOptions & { namespace: Namespace },
): Promise<KubeObject> {
  const { namespace, ...options } = request
  const { resourceVersion, uid } = namespace.metadata ?? {}
  return updateObject(registry, place, {
    ...options,
    subresource: 'finalize',
    isConditional: Boolean(resourceVersion),
    next(current) {
      const copy = copyOf(current as Namespace)
      const finalizers = namespace.spec?.finalizers ?? []
      copy.spec = finalizers.length > 0 ? { finalizers } : {}
      copy.metadata = { ...copy.metadata, ...(resourceVersion ? { resourceVersion } : {}), ...(uid ? { uid } : {}) }
      return copy
    },
  })
}
