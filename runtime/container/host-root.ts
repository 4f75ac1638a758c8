import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { hasMountNamespace } from '../birth/host-root.ts'
import { folderOf } from '../launcher/records.ts'
import { mountIdOf, unmount } from '../linux/mount.ts'
import type { OciSpec } from '../spec/types.ts'

/** `below`: the mount on which the root lies, before another is mounted there. */
interface HostRoot {
  path: string
  below: string
}

const fileOf = (root: string, id: string) => `${folderOf(root, id)}/host-root.json`

/** Notes, before anything is mounted, where a container without a mount namespace will have its root. */
export function noteHostRoot(root: string, id: string, { spec, path }: { spec: OciSpec; path: string }): void {
  if (hasMountNamespace(spec)) return
  const noted: HostRoot = { path, below: String(mountIdOf(path)) }
  writeFileSync(fileOf(root, id), JSON.stringify(noted), { mode: 0o600 })
}

/** Takes the root of such a container, and all in it, out of the host's mount table, if it is there. */
export function unmountHostRoot(root: string, id: string): void {
  const file = fileOf(root, id)
  if (!existsSync(file)) return
  const { path, below } = JSON.parse(readFileSync(file, 'utf8')) as HostRoot
  // Anything else that is mounted there is somebody else's.
  if (existsSync(path) && String(mountIdOf(path)) !== below) unmount(path, { detach: true })
}
