import type { Kind } from '../api/kinds/kind.ts'
import type { KubeObject } from '../api/types.ts'

/** What policies decide by: the newest objects, frozen and shared. */
export interface StoredObjects {
  get<T extends KubeObject>(kind: Kind<T>, name: string, namespace?: string): T | undefined
  /** Of one namespace, or all. */
  list<T extends KubeObject>(kind: Kind<T>, namespace?: string): readonly T[]
}
