import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const mount = '/sys/fs/cgroup'

/** Nothing but cgroup v2, or the hierarchies of v1 (and perhaps v2 beside them). */
export const isV2 = existsSync(`${mount}/cgroup.controllers`)

/** Where the group `path` is, in each hierarchy that has it: one folder on v2, several on v1, none when there is no such group. */
export function groupFolders(path: string): string[] {
  const trees = isV2 ? [mount] : readdirSync(mount).map((name) => join(mount, name))
  return trees.map((tree) => join(tree, path)).filter((folder) => existsSync(folder))
}

/** A file of the group `path`: `v1` in the hierarchy of that controller, `v2` where there is but one. */
export function groupFile(path: string, names: { v1: `${string}/${string}`; v2: string }): string {
  const [controller = '', name = ''] = names.v1.split('/')
  return isV2 ? join(mount, path, names.v2) : join(mount, controller, path, name)
}
