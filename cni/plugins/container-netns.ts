import { errnoOf, messageOf } from '../../runtime/base/errors.ts'
import { inNetworkNamespace } from '../../runtime/linux/netns.ts'
import { cniError } from '../errors.ts'
import { NetlinkConnection } from '../netlink/connection.ts'

/** A connection to the container's namespace. Throws `CNI_UNKNOWN_CONTAINER` when there is no such namespace. */
export function connectTo(netns: string): NetlinkConnection {
  try {
    return inNetworkNamespace(netns, () => new NetlinkConnection())
  } catch (error) {
    throw cniError('CNI_UNKNOWN_CONTAINER', `enter network namespace ${netns}: ${messageOf(error)}`, { cause: error })
  }
}

/** As `connectTo`, but undefined when the namespace is gone, which DEL must not mind. */
export function connectIfThere(netns: string): NetlinkConnection | undefined {
  try {
    return inNetworkNamespace(netns, () => new NetlinkConnection())
  } catch (error) {
    // EINVAL: the path outlived the namespace that was mounted on it.
    if (['ENOENT', 'ESRCH', 'EINVAL'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}
