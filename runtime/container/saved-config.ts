import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { errnoOf } from '../base/errors.ts'
import type { BirthWishes } from '../birth/plan.ts'
import type { Overlay } from '../birth/rootfs.ts'
import { folderOf } from '../launcher/records.ts'
import { parseSpec, specText } from '../spec/exact-json.ts'
import type { OciSpec } from '../spec/types.ts'
import { containerError } from './errors.ts'

/** What create was told, kept beside the state for start, exec and explanations. */
export interface SavedConfig {
  spec: OciSpec
  bundle?: string | undefined
  rootfs?: { overlay: Overlay } | undefined
  wishes?: BirthWishes | undefined
}

/** Before there is a state, so nobody reads it half-written. */
export function saveConfig(root: string, id: string, config: SavedConfig): void {
  writeFileSync(`${folderOf(root, id)}/config.json`, specText(config), { mode: 0o600 })
}

/** The configuration of a container that exists. Throws NOT_FOUND for one that does not, and for a sandbox. */
export function savedConfig(root: string, id: string): SavedConfig {
  try {
    return parseSpec<SavedConfig>(readFileSync(`${folderOf(root, id)}/config.json`, 'utf8'))
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error
    const message = existsSync(folderOf(root, id))
      ? `read configuration of ${id}: it has none; sandboxes run no program`
      : `find container ${id}: it does not exist`
    throw containerError('NOT_FOUND', message, { id }, error)
  }
}
