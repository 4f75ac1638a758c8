import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Images, openImages } from '../../../images/index.ts'
import { silentLog } from '../../../runtime/base/log.ts'
import { bind } from '../../../runtime/linux/ffi.ts'
import { anArchive, anImage, type ImageOptions } from '../../fixtures/image.ts'

/** A store in a folder of its own, and around it what a hostile archive would like to reach. */
export interface Workshop {
  folder: string
  root: string
  images: Images
  /** Loads an image; its layers' folders, the topmost first. */
  load(options: ImageOptions, name?: string): Promise<string[]>
  close(): Promise<void>
}

export async function aWorkshop(): Promise<Workshop> {
  const folder = mkdtempSync(join(tmpdir(), 'coracle-images-'))
  const root = join(folder, 'store')
  const images = await openImages({ root, log: silentLog })
  let count = 0
  return {
    folder,
    root,
    images,
    async load(options, name = 'example.test/app:1') {
      const file = join(folder, `${count++}.tar`)
      writeFileSync(file, anArchive(anImage(options), name))
      await images.load(file)
      const { overlay } = await images.prepare(`c${count}`, name)
      return overlay.lower
    },
    async close() {
      await images.close()
      rmSync(folder, { recursive: true })
    },
  }
}

/** Every path below a folder with type, mode, owner, size, time, device and link target, as find(1) tells. */
export function treeOf(folder: string): string[] {
  const format = '%P|%y|%m|%U:%G|%s|%T@|%l|%n\\n'
  return execFileSync('find', ['.', '-printf', format], { cwd: folder, encoding: 'latin1' })
    .split('\n')
    .filter((line) => line !== '')
    .sort()
}

/** Path, type, mode, owner, size, time and link target of everything, how many links files have, their bytes and attributes. */
export const wholeTree = `
  find . -mindepth 1 ! -type d -printf '%P|%y|%m|%U:%G|%s|%T@|%l|%n\\n' | LC_ALL=C sort
  find . -mindepth 1 -type d -printf '%P|%y|%m|%U:%G|%T@\\n' | LC_ALL=C sort
  find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
  python3 -c '
import os
for base, folders, files in sorted(os.walk(b".")):
    for each in sorted(folders + files):
        path = os.path.join(base, each)
        for name in sorted(os.listxattr(path, follow_symlinks=False)):
            if not name.startswith("trusted.overlay."): print(path, name, os.getxattr(path, name, follow_symlinks=False).hex())
'`

/** What is seen through an overlay of these folders, which is mounted in a mount namespace of its own. */
export function seenThroughOverlay(lower: readonly string[], scratch: string, command: string): string {
  const mount = `mount -t overlay overlay -o "lowerdir=${lower.length === 1 ? `${lower[0]}:${scratch}` : lower.join(':')}" ${scratch}`
  return execFileSync('unshare', ['-m', 'sh', '-ec', `${mount}; cd ${scratch}; ${command}`], {
    encoding: 'latin1',
    maxBuffer: 1 << 27,
  })
}

const listAttributes = bind('int64_t llistxattr(const char *path, void *list, size_t size)')
const getAttribute = bind('int64_t lgetxattr(const char *path, const char *name, void *value, size_t size)')

const setAttribute = bind(
  'int lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)',
)

export function putAttribute(path: string, name: string, value: string): void {
  setAttribute(path, name, Buffer.from(value), Buffer.byteLength(value), 0)
}

/** The extended attributes of a file, values in hexadecimal digits. */
export function attributesOf(path: string): Record<string, string> {
  const list = Buffer.alloc(65536)
  const names = list
    .toString('utf8', 0, listAttributes(path, list, list.length))
    .split('\0')
    .filter((name) => name !== '')
  const value = Buffer.alloc(65536)
  return Object.fromEntries(
    names.map((name) => [name, value.toString('hex', 0, getAttribute(path, name, value, value.length))]),
  )
}
