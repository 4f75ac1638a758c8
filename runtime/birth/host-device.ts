import { type BigIntStats, statSync } from 'node:fs'
import { MNT_DETACH, mountAttributes, openFlags } from '../linux/constants.ts'
import { specInvalid } from '../spec/errors.ts'
import { hostIdOf } from '../spec/id-mappings.ts'
import type { OciDevice } from '../spec/types.ts'
import { here, mountSetattr, moveMount, newMount, open, openTree } from '../tape/calls.ts'
import type { Result, SyscallTape } from '../tape/syscall-tape.ts'
import { deviceNumber, kindOf, makeNode } from './device-node.ts'
import type { IdMaps } from './user-namespace.ts'

/** Where a device can be made that the host does not have. */
export interface Workshop {
  maps: IdMaps
  /** Of the host; for a moment a filesystem lies on it that nobody else sees. Undefined where others would. */
  emptyFolder: string | undefined
}

/**
 * A device for a container in a user namespace, in which nobody may make one: the host's own, or where it has none, one
 * that is made on a filesystem of the host's root and owned as config.json says. Recorded before the namespace is joined.
 * Throws SPEC_INVALID.
 */
export function deviceFromHost(host: SyscallTape, device: OciDevice, workshop: Workshop): Result {
  kindOf(device)
  const path = hostPath(device)
  const node = path === undefined ? newDevice(host, device, workshop) : openTree(host, here, path, 0)
  const { MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOEXEC } = mountAttributes
  mountSetattr(host, node, { set: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, clear: 0 })
  return node
}

/** At the same path, or where udev lists devices by number. */
function hostPath(device: OciDevice): string | undefined {
  const { path, type, major = 0, minor = 0 } = device
  const isIt = (candidate: string) => {
    try {
      return isDevice(statSync(candidate, { bigint: true }), device)
    } catch {
      return false
    }
  }
  return [path, `/dev/${type === 'b' ? 'block' : 'char'}/${major}:${minor}`].find(isIt)
}

function isDevice(found: BigIntStats, { type, major = 0, minor = 0 }: OciDevice): boolean {
  return (type === 'b') === found.isBlockDevice() && found.rdev === deviceNumber(major, minor)
}

function newDevice(host: SyscallTape, device: OciDevice, { maps, emptyFolder }: Workshop): Result {
  const { path, type, major, minor, uid = 0, gid = 0 } = device
  const owner = [hostIdOf(maps.uid ?? [], uid), hostIdOf(maps.gid ?? [], gid)] as const
  if (emptyFolder === undefined || owner[0] === undefined || owner[1] === undefined) {
    const why = emptyFolder === undefined ? 'with shared propagation' : `for ${uid}:${gid}`
    const reason = `the host has no such device ${major}:${minor}, and in a user namespace none can be made ${why}`
    throw specInvalid(`linux.devices ${path}`, reason)
  }
  host.because(
    `${path}: the host has no device ${type} ${major}:${minor}, so one is made while this is the host’s root`,
  )
  host.call('umask', [0])
  const folder = newMount(host, { type: 'tmpfs', source: 'device', data: [], attributes: 0 })
  moveMount(host, folder, open(host, emptyFolder, openFlags.O_PATH | openFlags.O_DIRECTORY))
  makeNode(host, folder, { ...device, path: 'node', uid: owner[0], gid: owner[1] })
  const node = openTree(host, folder, 'node', 0)
  host.call('umount2', [emptyFolder, { value: MNT_DETACH, shown: 'MNT_DETACH' }])
  return node
}
