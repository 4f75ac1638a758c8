/**
 * All files of a volume change at once, for a reader too (upstream: pkg/volume/util/atomic_writer.go):
 *
 *   <volume>/..2026_01_02_15_04_05.123456789/key     the files
 *   <volume>/..data -> ..2026_01_02_…                replaced by rename(2)
 *   <volume>/key    -> ..data/key                    what the container sees
 */
import { randomBytes } from 'node:crypto'
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Payload } from './payload.ts'

const dataLink = '..data'

/** Makes the volume show exactly `payload`. Does nothing when it already does. */
export async function writeAtomically(volume: string, payload: Payload, fsGroup: number | undefined): Promise<void> {
  const current = await readlink(join(volume, dataLink)).catch(() => undefined)
  if (current !== undefined && (await shows(join(volume, current), payload))) return
  const fresh = `..${new Date().toISOString().replace(/[-T:]/g, '_').replace('Z', '')}.${randomBytes(4).toString('hex')}`
  for (const [path, file] of payload) {
    const target = join(volume, fresh, path)
    await mkdir(dirname(target), { recursive: true, mode: 0o755 })
    // A group that shares the volume can read what the owner can.
    const mode = fsGroup === undefined ? file.mode : file.mode | ((file.mode & 0o400) >> 3)
    await writeFile(target, file.bytes)
    // Past the umask.
    await chmod(target, mode)
    if (fsGroup !== undefined || file.owner !== undefined) await chown(target, file.owner ?? 0, fsGroup ?? 0)
  }
  await mkdir(join(volume, fresh), { recursive: true, mode: 0o755 })
  const next = join(volume, '..data_tmp')
  await rm(next, { force: true })
  await symlink(fresh, next)
  await rename(next, join(volume, dataLink))
  await link(volume, payload)
  if (current !== undefined) await rm(join(volume, current), { recursive: true, force: true })
}

async function shows(directory: string, payload: Payload): Promise<boolean> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true })
  if (entries.filter((entry) => entry.isFile()).length !== payload.size) return false
  for (const [path, file] of payload) {
    const bytes = await readFile(join(directory, path)).catch(() => undefined)
    if (!bytes?.equals(file.bytes)) return false
  }
  return true
}

/** The visible names: one link for each first path segment; names that are gone are taken away. */
async function link(volume: string, payload: Payload): Promise<void> {
  const names = new Set([...payload.keys()].map((path) => path.split('/')[0] ?? ''))
  for (const name of names) {
    const exists = await lstat(join(volume, name)).catch(() => undefined)
    if (!exists) await symlink(join(dataLink, name), join(volume, name))
  }
  for (const name of await readdir(volume)) {
    if (!name.startsWith('..') && !names.has(name)) await rm(join(volume, name), { force: true })
  }
}
