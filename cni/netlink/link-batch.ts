import { randomInt } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { errnoOf } from '../../runtime/base/errors.ts'
import { NetlinkConnection } from './connection.ts'
import { deleteLink, deleteLinkGroup, type Link, setLink } from './links.ts'

interface Removal {
  link: Link
  done: PromiseWithResolvers<void>
}

/** Group numbers that people give are small; those of a batch lie in the upper half of what a signed number holds. */
const firstGroup = 2 ** 30
const lastGroup = 2 ** 31

/**
 * Removes links of this thread's network namespace, together with others that are asked for at the same time: for each
 * removal the kernel waits 15 to 20 ms for readers of its tables, but only once for a whole group. A hundred pods that end
 * together cost as much as one or two. A link that is gone already counts as removed.
 */
export class LinkBatch {
  #waiting: Removal[] = []
  #running = false

  async remove(link: Link): Promise<void> {
    const done = Promise.withResolvers<void>()
    this.#waiting.push({ link, done })
    if (!this.#running) void this.#run()
    await done.promise
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#waiting.length > 0) {
      // Those that are asked for in this same turn come along.
      await nextTurn()
      const batch = this.#waiting.splice(0)
      try {
        using netlink = new NetlinkConnection()
        const left = batch.length > 1 ? await removeTogether(netlink, batch) : batch
        for (const removal of left) {
          if (await succeeds(removal, () => deleteLink(netlink, removal.link))) removal.done.resolve()
        }
      } catch (error) {
        for (const { done } of batch) done.reject(error)
      }
    }
    this.#running = false
  }
}

/** Removes the links as one group. Returns those that have to be removed one by one, because the group could not be. */
async function removeTogether(netlink: NetlinkConnection, batch: readonly Removal[]): Promise<Removal[]> {
  const group = randomInt(firstGroup, lastGroup)
  const grouped: Removal[] = []
  for (const removal of batch) {
    if (await succeeds(removal, () => setLink(netlink, removal.link, { group }))) grouped.push(removal)
  }
  if (grouped.length === 0) return []
  try {
    await deleteLinkGroup(netlink, group)
  } catch {
    return grouped
  }
  for (const { done } of grouped) done.resolve()
  return []
}

/** False when the removal has been answered: the link is gone, or the act has failed. */
async function succeeds({ done }: Removal, act: () => Promise<void>): Promise<boolean> {
  try {
    await act()
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENODEV') done.resolve()
    else done.reject(error)
    return false
  }
}
