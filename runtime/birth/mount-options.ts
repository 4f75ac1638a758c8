import { mountAttributes as attribute, mountFlags } from '../linux/constants.ts'
import { specUnsupported } from '../spec/errors.ts'
import type { OciMount } from '../spec/types.ts'
import type { MountAttributes } from '../tape/calls.ts'

/** The options of one mount, sorted by who takes them. */
export interface MountOptions {
  bind: boolean
  recursiveBind: boolean
  attributes: MountAttributes
  /** Attributes for the whole tree below (`rro`, `rnosuid` …). */
  recursive: MountAttributes
  /** MS_SHARED and the like; `recursivePropagation` for `rshared` and the like. */
  propagation: number
  recursivePropagation: boolean
  /** What the filesystem itself takes. */
  data: string[]
}

type Change = readonly [set: number, clear: number]

const { MOUNT_ATTR__ATIME: ATIME } = attribute
/** Option → attributes to set and to clear; with an `r` in front it is the recursive form. */
const changes: Readonly<Record<string, Change>> = {
  ro: [attribute.MOUNT_ATTR_RDONLY, 0],
  rw: [0, attribute.MOUNT_ATTR_RDONLY],
  nosuid: [attribute.MOUNT_ATTR_NOSUID, 0],
  suid: [0, attribute.MOUNT_ATTR_NOSUID],
  nodev: [attribute.MOUNT_ATTR_NODEV, 0],
  dev: [0, attribute.MOUNT_ATTR_NODEV],
  noexec: [attribute.MOUNT_ATTR_NOEXEC, 0],
  exec: [0, attribute.MOUNT_ATTR_NOEXEC],
  nodiratime: [attribute.MOUNT_ATTR_NODIRATIME, 0],
  diratime: [0, attribute.MOUNT_ATTR_NODIRATIME],
  noatime: [attribute.MOUNT_ATTR_NOATIME, ATIME],
  relatime: [0, ATIME],
  atime: [0, ATIME],
  norelatime: [0, ATIME],
  strictatime: [attribute.MOUNT_ATTR_STRICTATIME, ATIME],
  nostrictatime: [0, ATIME],
  nosymfollow: [attribute.MOUNT_ATTR_NOSYMFOLLOW, 0],
  symfollow: [0, attribute.MOUNT_ATTR_NOSYMFOLLOW],
}

const propagations: Readonly<Record<string, number>> = {
  shared: mountFlags.MS_SHARED,
  slave: mountFlags.MS_SLAVE,
  private: mountFlags.MS_PRIVATE,
  unbindable: mountFlags.MS_UNBINDABLE,
}

const nothing = new Set(['defaults', 'async', 'nomand', 'nolazytime', 'loud', 'silent', 'noiversion'])
const notYet = new Set([
  'idmap',
  'ridmap',
  'tmpcopyup',
  'copy-symlink',
  'src-nofollow',
  'dest-nofollow',
  'remount',
  'mand',
])

/** Sorts mount options as runc and mount(8) read them. Throws SPEC_UNSUPPORTED for those that are known but not done. */
export function mountOptions(mount: OciMount): MountOptions {
  const result: MountOptions = {
    bind: mount.type === 'bind',
    recursiveBind: false,
    attributes: { set: 0, clear: 0 },
    recursive: { set: 0, clear: 0 },
    propagation: 0,
    recursivePropagation: false,
    data: [],
  }
  for (const option of mount.options ?? []) takeOption(result, mount, option)
  return result
}

function takeOption(result: MountOptions, mount: OciMount, option: string): void {
  const plain = changes[option]
  const recursive = option.startsWith('r') ? changes[option.slice(1)] : undefined
  const spreads = propagations[option] ?? (option.startsWith('r') ? propagations[option.slice(1)] : undefined)
  if (nothing.has(option)) return
  if (notYet.has(option.split('=')[0] ?? '')) {
    throw specUnsupported(`mounts ${mount.destination}`, `option ${option} is not supported yet`)
  }
  if (option === 'bind' || option === 'rbind') {
    result.bind = true
    result.recursiveBind ||= option === 'rbind'
  } else if (plain) apply(result.attributes, plain)
  else if (spreads !== undefined) {
    result.propagation = spreads
    result.recursivePropagation = !(option in propagations)
  } else if (recursive) apply(result.recursive, recursive)
  else result.data.push(option)
}

/** The last word wins, as with mount(8): `ro,rw` is writable. */
function apply(attributes: MountAttributes, [set, clear]: Change): void {
  attributes.set = (attributes.set & ~clear) | set
  attributes.clear = (attributes.clear & ~set) | clear
}

/** Every option that is understood, for `features`. */
export function mountOptionNames(): string[] {
  const attributes = Object.keys(changes)
  const spreads = Object.keys(propagations)
  const recursive = [...attributes, ...spreads].map((name) => `r${name}`)
  return ['bind', 'rbind', ...attributes, ...spreads, ...recursive, ...nothing].toSorted()
}
