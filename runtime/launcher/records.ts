import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { errnoOf } from '../base/errors.ts'
import type { ContainerRecord, ExitRecord } from './protocol.ts'

/** `<root>/<id>`: everything about one container on disk. */
export function folderOf(root: string, id: string): string {
  return `${root}/${id}`
}

/** An empty folder that hides folders inside containers and is the root of sandboxes. */
export function emptyFolderOf(root: string): string {
  return `${root}/.empty`
}

/** Writes a file so that a reader sees the old or the new one, never half of it, even if we are killed. */
export function writeWhole(file: string, value: unknown): void {
  writeFileSync(`${file}.new`, JSON.stringify(value), { mode: 0o600 })
  renameSync(`${file}.new`, file)
}

export function writeRecord(root: string, record: ContainerRecord): void {
  writeWhole(`${folderOf(root, record.id)}/state.json`, record)
}

export function writeExit(root: string, id: string, exit: ExitRecord): void {
  writeWhole(`${folderOf(root, id)}/exit.json`, exit)
}

/** Undefined when there is no such container. */
export function readRecord(root: string, id: string): ContainerRecord | undefined {
  return readJson<ContainerRecord>(`${folderOf(root, id)}/state.json`)
}

/** Undefined while it runs, or when nobody saw it end. */
export function readExit(root: string, id: string): ExitRecord | undefined {
  // Looked for first: of a living container it is missing, and an error costs more than a look.
  return hasExit(root, id) ? readJson<ExitRecord>(`${folderOf(root, id)}/exit.json`) : undefined
}

/** True when its end is on disk. */
export function hasExit(root: string, id: string): boolean {
  return existsSync(`${folderOf(root, id)}/exit.json`)
}

/** Ids of all containers that have a state file. */
export function listIds(root: string): string[] {
  try {
    return readdirSync(root, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw error
  }
}
