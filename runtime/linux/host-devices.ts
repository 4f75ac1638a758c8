import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

export interface HostDevice {
  path: string
  type: 'c' | 'b'
  major: number
  minor: number
  /** Permission bits. */
  fileMode: number
  uid: number
  gid: number
}

/** Folders and files of /dev that every container has of its own. */
const own: ReadonlySet<string> = new Set(['pts', 'shm', 'fd', 'mqueue', 'console', 'ptmx', 'tty'])

/** The device nodes of this machine, for containers that may use them all. Links are left out: they are udev's affair. */
export function hostDevices(folder = '/dev'): HostDevice[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry): HostDevice[] => {
    if (own.has(entry.name) || entry.name.startsWith('.')) return []
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return hostDevices(path)
    if (!entry.isCharacterDevice() && !entry.isBlockDevice()) return []
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (!found) return []
    const { rdev, mode, uid, gid } = found
    const type = entry.isBlockDevice() ? 'b' : 'c'
    return [{ path, type, major: majorOf(rdev), minor: minorOf(rdev), fileMode: mode & 0o7777, uid, gid }]
  })
}

/** makedev(3), glibc's layout of 64 bits: major in 8..19 and 32..63, minor in 0..7 and 20..31. */
const majorOf = (rdev: number) => Number(((BigInt(rdev) >> 8n) & 0xfffn) | ((BigInt(rdev) >> 32n) & 0xfffff000n))
const minorOf = (rdev: number) => Number((BigInt(rdev) & 0xffn) | ((BigInt(rdev) >> 12n) & 0xffffff00n))
