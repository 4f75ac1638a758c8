import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { posix } from 'node:path'
import { errnoOf } from '../base/errors.ts'
import { openBelow, readOpenLink } from '../linux/at-files.ts'
import { openFlags } from '../linux/constants.ts'

/** As many as the kernel follows (path_resolution(7)). */
const mostLinks = 40

/**
 * An absolute path of an image with its symbolic links followed inside the root, also where they lead to nothing yet: an
 * image with /etc/resolv.conf -> ../run/systemd/resolve/stub-resolv.conf gets its file mounted there, as with runc, and the kernel
 * makes no folder through a link. `layers` are the folders of the root, the topmost first; what lies on an earlier mount is
 * left alone. The answer is a wish and no more: the tape resolves it in the root once again. With too many links, `path` itself.
 */
export function throughLinks(layers: readonly string[], path: string, isMounted: (path: string) => boolean): string {
  const roots = layers.flatMap(openFolder)
  try {
    return follow(roots, path, isMounted)
  } finally {
    for (const root of roots) closeSync(root)
  }
}

function follow(roots: readonly number[], path: string, isMounted: (path: string) => boolean): string {
  let at = '/'
  let left = path.split('/').filter(Boolean)
  for (let links = 0; left.length > 0; ) {
    const [name = '', ...rest] = left
    const next = posix.join(at, name)
    if (isMounted(next)) return posix.join(next, ...rest)
    const target = linkAt(roots, next)
    left = rest
    if (target === undefined) at = next
    else {
      if (++links > mostLinks) return path
      left = [...target.split('/').filter(Boolean), ...rest]
      if (target.startsWith('/')) at = '/'
    }
  }
  return at
}

/** What says that there is no link: a name that is too long, too. The tape meets it again and says at which step. */
const noLink = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG']

/** The target of the link at a path of which nothing but the end can be a link; undefined for anything else. */
function linkAt(roots: readonly number[], path: string): string | undefined {
  for (const root of roots) {
    try {
      const fd = openBelow(root, Buffer.from(path), {
        flags: openFlags.O_PATH | constants.O_NOFOLLOW,
        symlinks: 'refuse',
      })
      try {
        return fstatSync(fd).isSymbolicLink() ? readOpenLink(fd).toString() : undefined
      } finally {
        closeSync(fd)
      }
    } catch (error) {
      if (!noLink.includes(errnoOf(error) ?? '')) throw error
    }
  }
  return undefined
}

function openFolder(layer: string): number[] {
  try {
    return [openSync(layer, openFlags.O_PATH | constants.O_DIRECTORY)]
  } catch {
    // The tape opens it again, and names what is wrong with it.
    return []
  }
}
