import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  readdirSync,
  readlinkSync,
  readSync,
  writeSync,
} from 'node:fs'
import { setImmediate as breathe } from 'node:timers/promises'
import { copyDescriptors } from '../birth/gate.ts'
import { chownAt, futimes, mkdirAt, mknodAt, openBelow, symlinkAt, utimesAt } from '../linux/at-files.ts'
import { descriptorOf, pidfdOpen } from '../linux/process.ts'
import { containerError } from './errors.ts'

/*
 * `tmpcopyup`: a new tmpfs begins with what the image has in the folder on which it will be mounted. The image is hostile:
 * nothing is followed, every name is opened in the folder that was opened before it, and there is an end to how much is copied.
 * Names, contents, kinds, owners, modes and times are copied; extended attributes and the hardness of links are not.
 */
const most = { entries: 100_000, bytes: 1024 ** 3, depth: 128 } as const

const { O_RDONLY, O_WRONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_CREAT, O_EXCL } = constants

/** Copies between the two folders that the process `pid` holds open at its gate; `keep` of the new one's own. Throws COPY_UP_FAILED. */
export async function copyUp(id: string, pid: number, keep: { mode: boolean; owner: boolean }): Promise<void> {
  const opened: number[] = []
  const held = (fd: number) => {
    opened.push(fd)
    return fd
  }
  try {
    const pidfd = held(pidfdOpen(pid))
    const folder = { flags: O_RDONLY | O_DIRECTORY }
    const here = Buffer.from('.')
    const from = held(openBelow(held(descriptorOf(pidfd, copyDescriptors.from)), here, folder))
    const to = held(openBelow(held(descriptorOf(pidfd, copyDescriptors.to)), here, folder))
    await copyFolder({ from, to }, { id, entries: 0, bytes: 0, depth: 0 }, keep)
  } finally {
    for (const fd of opened.reverse()) closeSync(fd)
  }
}

interface Folders {
  from: number
  to: number
}

interface Tally {
  id: string
  entries: number
  bytes: number
  depth: number
}

async function copyFolder(folders: Folders, tally: Tally, keep = { mode: false, owner: false }): Promise<void> {
  if (++tally.depth > most.depth) throw tooMuch(tally, `folders in folders are more than ${most.depth}`)
  for (const name of readdirSync(`/proc/self/fd/${folders.from}`, { encoding: 'buffer' })) {
    if (++tally.entries > most.entries) throw tooMuch(tally, `it is more than ${most.entries} files`)
    if (tally.entries % 256 === 0) await breathe()
    await copyEntry(folders, name, tally)
  }
  const { mode, uid, gid, mtimeNs } = fstatSync(folders.from, { bigint: true })
  if (!keep.owner) chownAt(folders.to, Buffer.from('.'), { uid: Number(uid), gid: Number(gid) })
  if (!keep.mode) fchmodSync(folders.to, Number(mode) & 0o7777)
  futimes(folders.to, mtimeNs)
  tally.depth--
}

async function copyEntry({ from, to }: Folders, name: Buffer, tally: Tally): Promise<void> {
  const path = Buffer.concat([Buffer.from(`/proc/self/fd/${from}/`), name])
  const facts = lstatSync(path, { bigint: true })
  const [uid, gid, mode] = [facts.uid, facts.gid, facts.mode].map(Number) as [number, number, number]
  if (facts.isDirectory()) {
    mkdirAt(to, name, 0o700)
    const how = { flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW, symlinks: 'refuse' as const }
    const inner = { from: openBelow(from, name, how), to: openBelow(to, name, how) }
    try {
      await copyFolder(inner, tally)
    } finally {
      closeSync(inner.from)
      closeSync(inner.to)
    }
    return
  }
  if (facts.isFile()) {
    copyFile({ from, to }, name, { mode, uid, gid, mtimeNs: facts.mtimeNs, tally })
    return
  }
  if (facts.isSymbolicLink()) symlinkAt(readlinkSync(path, { encoding: 'buffer' }), to, name)
  else mknodAt(to, name, { mode, major: majorOf(facts.rdev), minor: minorOf(facts.rdev) })
  chownAt(to, name, { uid, gid })
  if (!facts.isSymbolicLink()) chmodSync(Buffer.concat([Buffer.from(`/proc/self/fd/${to}/`), name]), mode & 0o7777)
  utimesAt(to, name, facts.mtimeNs)
}

const piece = Buffer.alloc(65536)

function copyFile(
  { from, to }: Folders,
  name: Buffer,
  file: { mode: number; uid: number; gid: number; mtimeNs: bigint; tally: Tally },
): void {
  const { mode, uid, gid, mtimeNs, tally } = file
  // It may have become a FIFO since: O_NONBLOCK, so that nobody waits for its writer.
  const input = openBelow(from, name, { flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK, symlinks: 'refuse' })
  try {
    const output = openBelow(to, name, { flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600, symlinks: 'refuse' })
    try {
      for (let got = readSync(input, piece); got > 0; got = readSync(input, piece)) {
        tally.bytes += got
        if (tally.bytes > most.bytes) throw tooMuch(tally, `it is more than ${most.bytes} bytes`)
        for (let at = 0; at < got; ) at += writeSync(output, piece, at, got - at)
      }
      chownAt(to, name, { uid, gid })
      fchmodSync(output, mode & 0o7777)
      futimes(output, mtimeNs)
    } finally {
      closeSync(output)
    }
  } finally {
    closeSync(input)
  }
}

function tooMuch({ id }: Tally, reason: string) {
  return containerError('COPY_UP_FAILED', `copy a folder of the image into a tmpfs of ${id} (tmpcopyup): ${reason}`, {
    id,
  })
}

/** See makedev(3). */
const majorOf = (device: bigint) => Number(((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n))
const minorOf = (device: bigint) => Number((device & 0xffn) | ((device >> 12n) & 0xffffff00n))
