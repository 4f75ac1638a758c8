/** What an object owns: what a deletion that names a policy has to care for. */
import { hasCode } from '../../../runtime/base/errors.ts'
import type { Kind } from '../../api/kinds/kind.ts'
import type { KubeObject } from '../../api/types.ts'
import { copyOf, type ObjectPlace } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { getNewest, replaceStored } from '../stored.ts'
import { untilNoConflict } from './write.ts'

export interface Dependent {
  readonly kind: Kind
  readonly object: KubeObject
}

/** Every object that names `uid` as an owner. Looks at all objects in memory: for requests that ask for it only. */
export function dependentsOf(registry: Registry, uid: string): Dependent[] {
  const stored = new Map(registry.kinds.all().map((kind) => [kind.storedAt, kind.conversion?.stored ?? kind]))
  stored.delete('')
  return [...stored.values()].flatMap((kind) =>
    registry
      .cacheOf(kind)
      .list()
      .filter(({ value }) => value.metadata?.ownerReferences?.some((owner) => owner.uid === uid))
      .map(({ value }) => ({ kind, object: value })),
  )
}

/** Takes the owner `uid` from a dependent, as the garbage collector does for `Orphan`. */
export async function orphan(registry: Registry, { kind, object }: Dependent, uid: string): Promise<void> {
  const { name = '', namespace } = object.metadata ?? {}
  const place = { kind, name, ...(namespace ? { namespace } : {}) }
  await untilNoConflict(false, async () => {
    const old = await newest(registry, place)
    if (!old) return
    const changed = copyOf(old)
    const { ownerReferences = [], ...rest } = changed.metadata ?? {}
    const left = ownerReferences.filter((owner) => owner.uid !== uid)
    changed.metadata = { ...rest, ...(left.length > 0 ? { ownerReferences: left } : {}) }
    await replaceStored(registry, place, { object: changed, old })
  })
}

/** Undefined for a dependent that somebody has deleted meanwhile. */
async function newest(registry: Registry, place: ObjectPlace): Promise<KubeObject | undefined> {
  try {
    return await getNewest(registry, place)
  } catch (error) {
    if (hasCode(error, 'NOT_FOUND')) return undefined
    throw error
  }
}
