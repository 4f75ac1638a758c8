import { existsSync, mkdirSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import { errnoOf } from '../base/errors.ts'
import { emptyFolderOf, folderOf } from '../launcher/records.ts'
import { containerError } from './errors.ts'
import type { Workplace } from './player.ts'
import type { SavedConfig } from './saved-config.ts'

/** `<root>/<id>`, and in it the folder on which an overlay is mounted. Throws INVALID_ID, ALREADY_EXISTS. */
export function makeFolder({ root, claim }: Workplace, id: string, hasOverlay: boolean): void {
  if (!/^[A-Za-z0-9_+][A-Za-z0-9_+.-]{0,250}$/.test(id)) {
    throw containerError('INVALID_ID', `create ${JSON.stringify(id)}: not a container id`, { id })
  }
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

/** Where the root is, or where the overlay that it is made of gets mounted. */
export function rootPath(root: string, id: string, { spec, bundle, rootfs }: SavedConfig): string {
  if (rootfs) return `${folderOf(root, id)}/rootfs`
  const path = spec.root?.path ?? ''
  if (isAbsolute(path)) return path
  if (bundle === undefined) throw containerError('INVALID_ID', `create: root.path ${path} is not absolute`)
  return resolve(bundle, path)
}
