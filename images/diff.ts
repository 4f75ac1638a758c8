import { closeSync, openSync, readdirSync } from 'node:fs'
import { errnoOf } from '../runtime/base/errors.ts'
import { O_DIRECTORY, O_NOFOLLOW, O_RDONLY, openBelow, xattrsAt } from '../runtime/linux/at-files.ts'
import { lookUp } from './layer-files.ts'
import type { Overlay } from './snapshot.ts'

/** What a container has done to its image: added, changed or deleted, as `docker diff` shows it. */
export interface Change {
  kind: 'A' | 'C' | 'D'
  /** Absolute, as the container sees it. */
  path: string
}

/**
 * Compares what a container has written with the layers below it, in the order of paths. A file counts as changed when it
 * was written to or its looks were changed, whether its bytes differ or not: overlayfs has copied it then. Folders on the
 * way to a change are changed too, but for the root. Nothing is followed.
 */
export function changesOf({ upper, lower }: Overlay): Change[] {
  const opened: number[] = []
  try {
    for (const path of [upper, ...lower]) opened.push(openSync(path, O_RDONLY | O_DIRECTORY))
    const [top = -1, ...below] = opened
    return compare(top, below, Buffer.from('/'))
  } finally {
    for (const fd of opened) closeSync(fd)
  }
}

/** The changes below a folder. `below`: what overlayfs merges under it, the topmost first. */
function compare(upper: number, below: readonly number[], prefix: Buffer): Change[] {
  const changes: Change[] = []
  const names = namesIn(upper).sort(Buffer.compare)
  for (const name of names) {
    const path = Buffer.concat([prefix, name])
    const there = lookUp(upper, name)
    const before = lookUpBelow(below, name)
    try {
      if (!there || there.kind === 'whiteout') {
        if (before.exists) changes.push({ kind: 'D', path: path.toString() })
        continue
      }
      changes.push({ kind: before.exists ? 'C' : 'A', path: path.toString() })
      if (there.kind !== 'directory') continue
      changes.push(...compareFolder(upper, name, { below: before.folders, prefix: Buffer.concat([path, slash]) }))
    } finally {
      for (const fd of before.folders) closeSync(fd)
    }
  }
  return changes
}

const slash = Buffer.from('/')

function compareFolder(
  upper: number,
  name: Buffer,
  { below, prefix }: { below: readonly number[]; prefix: Buffer },
): Change[] {
  const fd = openFolder(upper, name)
  if (fd === undefined) return []
  try {
    if (!isOpaque(upper, name)) return compare(fd, below, prefix)
    // What the folder had before it was replaced is gone, but for what is there again.
    const now = new Set(namesIn(fd).map((each) => each.toString('latin1')))
    const before = new Set(below.flatMap((folder) => namesIn(folder).map((each) => each.toString('latin1'))))
    const gone = [...before].filter((each) => !now.has(each)).map((each) => Buffer.from(each, 'latin1'))
    const deleted = gone.flatMap((each): Change[] =>
      isThere(below, each) ? [{ kind: 'D', path: Buffer.concat([prefix, each]).toString() }] : [],
    )
    return [...compare(fd, below, prefix), ...deleted].sort((one, other) => (one.path < other.path ? -1 : 1))
  } finally {
    closeSync(fd)
  }
}

/** As overlayfs merges: the uppermost that has the name decides, and of folders all down to one that hides the rest. */
function lookUpBelow(below: readonly number[], name: Buffer): { exists: boolean; folders: number[] } {
  const folders: number[] = []
  for (const folder of below) {
    const found = lookUp(folder, name)
    if (!found) continue
    if (found.kind !== 'directory') return { exists: folders.length > 0 || found.kind !== 'whiteout', folders }
    const fd = openFolder(folder, name)
    if (fd !== undefined) folders.push(fd)
    if (isOpaque(folder, name)) break
  }
  return { exists: folders.length > 0, folders }
}

function isThere(below: readonly number[], name: Buffer): boolean {
  const { exists, folders } = lookUpBelow(below, name)
  for (const fd of folders) closeSync(fd)
  return exists
}

const isOpaque = (folder: number, name: Buffer) =>
  xattrsAt(folder, name).get('trusted.overlay.opaque')?.toString('latin1') === 'y'

const namesIn = (folder: number) => readdirSync(`/proc/self/fd/${folder}`, { encoding: 'buffer' })

/** Undefined when the container has removed it meanwhile. */
function openFolder(folder: number, name: Buffer): number | undefined {
  try {
    return openBelow(folder, name, { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW })
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) return undefined
    throw error
  }
}
