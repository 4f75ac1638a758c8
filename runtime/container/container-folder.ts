import { existsSync, mkdirSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { errnoOf } from '../base/errors.ts'
import { emptyFolderOf, folderOf } from '../launcher/records.ts'
import { containerError } from './errors.ts'
import type { Workplace } from './player.ts'
import type { SavedConfig } from './saved-config.ts'

/** `<root>/<id>`, and in it the folder on which an overlay is mounted. Throws ALREADY_EXISTS. */
export function makeFolder({ root, claim }: Workplace, id: string, hasOverlay: boolean): void {
  const folder = folderOf(root, id)
  const empty = emptyFolderOf(root)
  if (!existsSync(empty)) {
    mkdirSync(root, { recursive: true, mode: 0o700 })
    mkdirSync(empty, { recursive: true, mode: 0o555 })
  }
  try {
    mkdirSync(folder, { mode: 0o700 })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error
    throw containerError('ALREADY_EXISTS', `create ${id}: a container with this id exists already`, { id })
  }
  claim?.(folder)
  if (hasOverlay) mkdirSync(`${folder}/rootfs`)
}

/** Throws INVALID_ID, saying why. */
export function checkId(id: string): void {
  const stranger = /[^A-Za-z0-9_+.-]/.exec(id)?.[0]
  const reason =
    stranger !== undefined
      ? `invalid character ${JSON.stringify(stranger)}`
      : /^[.-]/.test(id)
        ? `invalid character ${JSON.stringify(id[0])} at its beginning`
        : id.length === 0 || id.length > mostIdLength
          ? `invalid length, not within 1 and ${mostIdLength}`
          : undefined
  if (reason === undefined) return
  throw containerError('INVALID_ID', `create: ${JSON.stringify(id)} is no container ID: ${reason}`, { id })
}

/** So that it can be the name of a file with something behind it. */
const mostIdLength = 251

/** Where the root is, or where the overlay that it is made of gets mounted. */
export function rootPath(root: string, id: string, { spec, bundle, rootfs }: SavedConfig): string {
  if (rootfs) return `${folderOf(root, id)}/rootfs`
  const path = spec.root?.path ?? ''
  if (isAbsolute(path)) return path
  if (bundle === undefined) throw containerError('INVALID_ID', `create: root.path ${path} is not absolute`)
  return resolve(bundle, path)
}
