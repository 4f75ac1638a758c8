import { errnoOf, messageOf } from '../../runtime/base/errors.ts'
import { inNetworkNamespace, isOwnNetworkNamespace } from '../../runtime/linux/netns.ts'
import { cniError } from '../errors.ts'
import { NetlinkConnection } from '../netlink/connection.ts'

/**
 * A connection to the container's namespace. Throws `CNI_UNKNOWN_CONTAINER` when there is no such namespace, and when it is
 * our own: no container is to be plugged into, or out of, the host.
 */
export function connectTo(netns: string): NetlinkConnection {
  try {
    if (isOwnNetworkNamespace(netns)) throw new Error("it is the host's own")
    return inNetworkNamespace(netns, () => new NetlinkConnection())
  } catch (error) {
    throw cniError('CNI_UNKNOWN_CONTAINER', `enter network namespace ${netns}: ${messageOf(error)}`, { cause: error })
  }
}

/** As `connectTo`, but undefined when the namespace is gone, or was the host's own all along: DEL must not mind. */
export function connectIfThere(netns: string): NetlinkConnection | undefined {
  try {
    if (isOwnNetworkNamespace(netns)) return undefined
    return inNetworkNamespace(netns, () => new NetlinkConnection())
  } catch (error) {
    // EINVAL: the path outlived the namespace that was mounted on it.
    if (['ENOENT', 'ESRCH', 'EINVAL'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}
