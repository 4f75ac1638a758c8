import { badRequest, revisionTooLarge } from '../../api/status.ts'
import type { KubeObject } from '../../api/types.ts'
import type { ObjectPlace } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { getStored, reachNewest } from '../stored.ts'

/**
 * The newest state of an object; the cache is never older than what this server acknowledged. With `resourceVersion`,
 * a state not older than that. Throws NOT_FOUND, TIMEOUT.
 */
export async function getObject(registry: Registry, place: ObjectPlace, resourceVersion?: string): Promise<KubeObject> {
  await reachRevision(registry, resourceVersion)
  return getStored(registry, place)
}

const longestWaitMilliseconds = 3000

/**
 * Waits until the cache is at `resourceVersion`; empty means the newest, whichever server has written it, and 0 any.
 * Throws TIMEOUT, UNAVAILABLE.
 */
export async function reachRevision(registry: Registry, resourceVersion: string | undefined): Promise<void> {
  if (!resourceVersion) return reachNewest(registry)
  const asked = parseRevision(resourceVersion)
  const { broadcaster } = registry
  if (asked <= broadcaster.revision) return
  let end = () => {}
  const reached = new Promise<void>((resolve) => {
    end = broadcaster.onCommit(() => {
      if (broadcaster.revision >= asked) resolve()
    })
  })
  const stop = new AbortController()
  try {
    await Promise.race([reached, registry.clock.sleep(longestWaitMilliseconds, stop.signal)])
  } finally {
    end()
    reached.then(
      () => stop.abort(),
      () => {},
    )
  }
  if (broadcaster.revision < asked) throw revisionTooLarge(asked, broadcaster.revision)
}

/** A resourceVersion as a number; 0 when unset. `where` goes before what is wrong. Throws BAD_REQUEST. */
export function parseRevision(text: string | undefined, where = ''): number {
  if (text === undefined || text === '') return 0
  if (/^[0-9]{1,15}$/.test(text)) return Number(text)
  throw badRequest(
    `${where}resourceVersion: Invalid value: ${JSON.stringify(text)}: strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`,
  )
}
