import { lstatSync, readlinkSync, type Stats } from 'node:fs'
import { posix, resolve } from 'node:path'
import { mountOptions } from '../birth/mount-options.ts'
import type { OciMount } from '../spec/types.ts'
import type { SavedConfig } from './saved-config.ts'

/** A file of a container, as the host reaches it. */
export interface Inside {
  /** In the container, without links. */
  path: string
  file: string
  stat: Stats
  /** The mount of config.json that it lies on; absent: the root. */
  mount?: OciMount
}

const mostLinks = 40

/**
 * Follows an absolute `path` as the container would, by links, layers and bind mounts, but from outside: there is no process any
 * more in which to look. For words alone; nothing may be decided by it. undefined: it is not there, or only inside.
 */
export function findInside(config: SavedConfig, path: string): Inside | undefined {
  let left = path.split('/')
  let found = look(config, '/')
  for (let links = 0; found && left.length > 0; ) {
    const [name = '', ...rest] = left
    left = rest
    const next = look(config, posix.join(found.path, name))
    if (!next?.stat.isSymbolicLink()) {
      found = next
      continue
    }
    if (++links > mostLinks) return undefined
    const target = readlinkSync(next.file)
    left = [...target.split('/'), ...rest]
    if (target.startsWith('/')) found = look(config, '/')
  }
  return found
}

/** One path of which no part but the last can be a link. */
function look(config: SavedConfig, path: string): Inside | undefined {
  const mount = mountAbove(config, path)
  for (const file of filesAt(config, path, mount)) {
    const stat = statOf(file)
    // A whiteout of overlayfs: what the layers below have is not there.
    if (stat?.isCharacterDevice() && stat.rdev === 0) return undefined
    if (stat) return { path, file, stat, ...(mount ? { mount } : {}) }
  }
  return undefined
}

function filesAt({ spec, bundle = '/', rootfs }: SavedConfig, path: string, mount: OciMount | undefined): string[] {
  if (mount) {
    const rest = path.slice(destinationOf(mount).length)
    return mountOptions(mount).bind ? [posix.join(resolve(bundle, mount.source ?? ''), rest)] : []
  }
  const layers = rootfs ? [rootfs.overlay.upper, ...rootfs.overlay.lower] : [resolve(bundle, spec.root?.path ?? '')]
  return layers.map((layer) => posix.join(layer, path))
}

const destinationOf = ({ destination }: OciMount) => posix.join('/', destination).replace(/\/$/, '')

/** The deepest mount at or above `path`; of several at one place the last, which hides the others. */
function mountAbove({ spec }: SavedConfig, path: string): OciMount | undefined {
  const above = (spec.mounts ?? []).filter((mount) => {
    const at = destinationOf(mount)
    return !mountOptions(mount).remount && (path === at || path.startsWith(`${at}/`))
  })
  return above.reduce<OciMount | undefined>(
    (deepest, mount) => (deepest && destinationOf(deepest).length > destinationOf(mount).length ? deepest : mount),
    undefined,
  )
}

function statOf(file: string): Stats | undefined {
  try {
    return lstatSync(file, { throwIfNoEntry: false })
  } catch {
    // A file where a folder should be.
    return undefined
  }
}
