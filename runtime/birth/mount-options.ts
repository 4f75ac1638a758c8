import { mountAttributes as attribute, mountFlags } from '../linux/constants.ts'
import { specInvalid } from '../spec/errors.ts'
import { hostIdOf } from '../spec/id-mappings.ts'
import type { OciIdMapping, OciMount } from '../spec/types.ts'
import { halfKnownFlags, type MountAttributes } from '../tape/calls.ts'
import type { IdMaps } from './user-namespace.ts'

/** The options of one mount, sorted by who takes them. */
export interface MountOptions {
  bind: boolean
  recursiveBind: boolean
  /** Changes a mount that is there already. */
  remount: boolean
  attributes: MountAttributes
  /** Attributes for the whole tree below (`rro`, `rnosuid` …). */
  recursive: MountAttributes
  /** MS_SHARED and the like, one after the other; recursive for `rshared` and the like. */
  propagations: { flag: number; recursive: boolean }[]
  /** Flags of the filesystem rather than of the mount (`sync`, `lazytime` …), as fsconfig(2) names them. */
  filesystemFlags: string[]
  /** What the filesystem itself takes. */
  data: string[]
  /** `idmap` and `ridmap`, with what crun lets follow after `=`. */
  idmap?: { recursive: boolean; text: string }
  /** The new tmpfs begins with a copy of what the folder holds. */
  tmpcopyup: boolean
  /** A source that is a symbolic link is made again instead of mounted. */
  copySymlink: boolean
  sourceNofollow: boolean
  destinationNofollow: boolean
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

/** Flags of a filesystem, and the words that take them back. */
const filesystemFlags: Readonly<Record<string, string>> = {
  sync: 'async',
  dirsync: '',
  lazytime: 'nolazytime',
  mand: 'nomand',
}

/** What is so anyway: `loud` and `silent` concern the kernel's log, `noiversion` a counter that nobody can turn off. */
const nothing = new Set(['defaults', 'loud', 'silent', 'noiversion', 'async', 'nomand', 'nolazytime'])

const switches = {
  remount: 'remount',
  tmpcopyup: 'tmpcopyup',
  'copy-symlink': 'copySymlink',
  'src-nofollow': 'sourceNofollow',
  'dest-nofollow': 'destinationNofollow',
} as const

/** Sorts mount options as runc, crun and mount(8) read them. What none of them knows is for the filesystem. */
export function mountOptions(mount: OciMount): MountOptions {
  const result: MountOptions = {
    bind: mount.type === 'bind',
    recursiveBind: false,
    remount: false,
    attributes: { set: 0, clear: 0 },
    recursive: { set: 0, clear: 0 },
    propagations: [],
    filesystemFlags: [],
    data: [],
    tmpcopyup: false,
    copySymlink: false,
    sourceNofollow: false,
    destinationNofollow: false,
  }
  for (const option of mount.options ?? []) takeOption(result, option)
  return result
}

function takeOption(result: MountOptions, option: string): void {
  const plain = changes[option]
  const rest = option.startsWith('r') ? option.slice(1) : ''
  const spreads = propagations[option] ?? propagations[rest]
  const takenBack = Object.entries(filesystemFlags).find(([, back]) => back === option)?.[0]
  const [name = '', ...text] = option.split('=')
  if (option === 'bind' || option === 'rbind') {
    result.bind = true
    result.recursiveBind ||= option === 'rbind'
  } else if (name === 'idmap' || name === 'ridmap') {
    result.idmap = { recursive: name === 'ridmap', text: text.join('=') }
  } else if (option in switches) result[switches[option as keyof typeof switches]] = true
  else if (plain) apply(result.attributes, plain)
  else if (spreads !== undefined) result.propagations.push({ flag: spreads, recursive: !(option in propagations) })
  else if (changes[rest]) apply(result.recursive, changes[rest])
  else if (takenBack) result.filesystemFlags = result.filesystemFlags.filter((flag) => flag !== takenBack)
  else if (option in filesystemFlags) result.filesystemFlags.push(option)
  else if (!nothing.has(option)) result.data.push(option)
}

/** The last word wins, as with mount(8): `ro,rw` is writable. */
function apply(attributes: MountAttributes, [set, clear]: Change): void {
  attributes.set = (attributes.set & ~clear) | set
  attributes.clear = (attributes.clear & ~set) | clear
}

/**
 * How an id-mapped mount maps: by the mount's own ranges (`hostID` is who owns a file of `containerID` there), by those of
 * crun's `idmap=uids=0-1000-10#…;gids=…` (with `@` they are ids of the container), or as the container itself. Throws SPEC_INVALID.
 */
export function idMapOf(
  mount: OciMount,
  { text }: { text: string },
  maps: IdMaps | undefined,
): { uid: readonly OciIdMapping[]; gid: readonly OciIdMapping[] } {
  const field = `mounts ${mount.destination}`
  if (mount.uidMappings?.length || mount.gidMappings?.length) {
    if (!mount.uidMappings?.length || !mount.gidMappings?.length) {
      throw specInvalid(field, 'uidMappings and gidMappings must be there both or not at all')
    }
    return { uid: mount.uidMappings, gid: mount.gidMappings }
  }
  if (text !== '') {
    const parts = new Map(text.split(';').map((part) => part.split('=') as [string, string | undefined]))
    const ranges = (key: 'uids' | 'gids') => rangesOf(field, parts.get(key), key === 'uids' ? maps?.uid : maps?.gid)
    return { uid: ranges('uids'), gid: ranges('gids') }
  }
  if (maps?.uid && maps.gid) return { uid: maps.uid, gid: maps.gid }
  throw specInvalid(field, 'idmap without uidMappings and gidMappings, and the container has no mappings of its own')
}

function rangesOf(field: string, text: string | undefined, own: IdMaps['uid']): OciIdMapping[] {
  const isRelative = text?.startsWith('@') ?? false
  const ranges = (text ?? '').slice(isRelative ? 1 : 0).split('#')
  return ranges.map((range) => {
    const [containerID, target, size] = range.split('-').map(Number)
    if (!/^\d+-\d+-\d+$/.test(range) || containerID === undefined || target === undefined || size === undefined) {
      throw specInvalid(field, `idmap: ${JSON.stringify(text ?? '')} is not uids=A-B-SIZE#…;gids=A-B-SIZE#…`)
    }
    const hostID = isRelative ? hostIdOf(own ?? [], target) : target
    if (hostID === undefined) throw specInvalid(field, `idmap: ${target} is no id of the container’s user namespace`)
    return { containerID, hostID, size }
  })
}

/** Every option that is understood, for `features`. */
export function mountOptionNames(): string[] {
  const attributes = Object.keys(changes)
  const spreads = Object.keys(propagations)
  const recursive = [...attributes, ...spreads].map((name) => `r${name}`)
  const flags = [...Object.keys(filesystemFlags), ...nothing, ...halfKnownFlags, ...Object.keys(switches)]
  return ['bind', 'rbind', 'idmap', 'ridmap', ...attributes, ...spreads, ...recursive, ...flags].toSorted()
}
