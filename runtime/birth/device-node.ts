import { AT_SYMLINK_NOFOLLOW, S_IFBLK, S_IFCHR, S_IFIFO } from '../linux/constants.ts'
import { specInvalid } from '../spec/errors.ts'
import type { OciDevice } from '../spec/types.ts'
import type { Arg, SyscallTape } from '../tape/syscall-tape.ts'

const kinds: Readonly<Record<string, number>> = { c: S_IFCHR, u: S_IFCHR, b: S_IFBLK, p: S_IFIFO }

/** The bits of a mode that say what kind of file a device is. Throws SPEC_INVALID. */
export function kindOf({ path, type }: Pick<OciDevice, 'path' | 'type'>): number {
  const kind = kinds[type]
  if (kind === undefined) throw specInvalid(`linux.devices ${path}`, `type ${type} is none of c, u, b, p`)
  return kind
}

/** mknodat(2) in a folder, by the last name of the device's path. The umask must be 0. Throws SPEC_INVALID. */
export function makeNode(tape: SyscallTape, folder: Arg, device: OciDevice, tolerate: readonly number[] = []): void {
  const { path, major = 0, minor = 0, fileMode = 0o666, uid = 0, gid = 0 } = device
  const kind = kindOf(device)
  const name = path.slice(path.lastIndexOf('/') + 1)
  const mode = { value: kind | (fileMode & 0o7777), shown: `0${(kind | (fileMode & 0o7777)).toString(8)}` }
  const number = { value: deviceNumber(major, minor), shown: `makedev(${major}, ${minor})` }
  tape.call('mknodat', [folder, name, mode, number], { tolerate })
  if (uid === 0 && gid === 0) return
  const itself = { value: AT_SYMLINK_NOFOLLOW, shown: 'AT_SYMLINK_NOFOLLOW' }
  tape.call('fchownat', [folder, name, uid, gid, itself])
}

/** makedev(3): 12 bits of major, 20 bits of minor. */
export function deviceNumber(major: number, minor: number): bigint {
  return (BigInt(major) << 8n) | BigInt(minor & 0xff) | (BigInt(minor & ~0xff) << 12n)
}
