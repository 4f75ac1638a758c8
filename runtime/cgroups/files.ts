import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '../base/errors.ts'
import { cgroupFailed } from './errors.ts'

/** Writes one value. Throws CGROUP_FAILED naming file and value. */
export function writeValue(file: string, value: string | number): void {
  try {
    // Without O_CREAT: a name that the kernel does not offer must be an error, not a file.
    writeFileSync(file, String(value), { flag: 'r+' })
  } catch (error) {
    throw cgroupFailed(`write ${JSON.stringify(String(value))} to ${file}`, error)
  }
}

/** Writes several values one after the other to one file, each as a write of its own. Throws CGROUP_FAILED. */
export function writeValues(file: string, values: readonly string[]): void {
  const fd = openSync(file, 'r+')
  try {
    for (const value of values) {
      try {
        writeSync(fd, value)
      } catch (error) {
        throw cgroupFailed(`write ${JSON.stringify(value)} to ${file}`, error)
      }
    }
  } finally {
    closeSync(fd)
  }
}

/** The text of a file, trimmed; undefined when it is not there. */
export function readValue(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1').trim()
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') return undefined
    throw cgroupFailed(`read ${file}`, error)
  }
}

/** A file with one number; `max`, nothing and no file are undefined. */
export function readNumber(file: string): number | undefined {
  const text = readValue(file)
  return text === undefined || text === '' || text === 'max' ? undefined : Number(text)
}

/** One number of a `key value` file such as memory.stat. */
export function readKey(file: string, key: string): number | undefined {
  const text = readValue(file)
  const line = text?.split('\n').find((row) => row.startsWith(`${key} `))
  return line === undefined ? undefined : Number(line.slice(key.length + 1))
}

/** Makes a group; that it is there already is fine. Tries without the parents first, which are nearly always there. */
export function makeGroup(folder: string): void {
  try {
    mkdirSync(folder)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return
    if (errnoOf(error) !== 'ENOENT') throw cgroupFailed(`mkdir ${folder}`, error)
    mkdirSync(folder, { recursive: true })
  }
}

/** The groups below `folder`, deepest first, then `folder` itself. */
export function groupsBelow(folder: string): string[] {
  if (!existsSync(folder)) return []
  const below = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory())
  return [...below.flatMap((entry) => groupsBelow(`${folder}/${entry.name}`)), folder]
}

/** Processes in `folder` and below, from cgroup.procs. */
export function pidsBelow(folder: string): number[] {
  return groupsBelow(folder).flatMap((group) =>
    (readValue(`${group}/cgroup.procs`) ?? '').split('\n').filter(Boolean).map(Number),
  )
}

/** rmdir of one group, unless something is in it; true when it is gone. */
export function removeEmptyGroup(folder: string): boolean {
  try {
    rmdirSync(folder)
    return true
  } catch (error) {
    const errno = errnoOf(error) ?? ''
    if (errno === 'ENOENT') return true
    if (errno !== 'EBUSY' && errno !== 'ENOTEMPTY') throw cgroupFailed(`rmdir ${folder}`, error)
    return false
  }
}

/** rmdir of a whole tree of groups. A group stays EBUSY for a moment after its last process has been reaped. */
export async function removeGroups(folder: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      if (tries === 0) rmdirSync(folder)
      else for (const group of groupsBelow(folder)) rmdirSync(group)
      return
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === 'ENOENT') return
      if ((errno !== 'EBUSY' && errno !== 'ENOTEMPTY') || tries > 60) throw cgroupFailed(`rmdir ${folder}`, error)
      if (tries > 0) await sleep(Math.min(2 ** tries, 50))
    }
  }
}

/** The lowest of the limits that `limitOf` gives for a group and those above it, the root of the hierarchy excepted. */
export function lowestLimit(
  path: string,
  limitOf: (group: string) => number | undefined,
): { bytes: number; path: string } | undefined {
  let lowest: { bytes: number; path: string } | undefined
  for (let group = path; group !== ''; group = group.slice(0, Math.max(0, group.lastIndexOf('/')))) {
    const bytes = limitOf(group)
    if (bytes !== undefined && bytes < (lowest?.bytes ?? Number.POSITIVE_INFINITY)) lowest = { bytes, path: group }
  }
  return lowest
}
