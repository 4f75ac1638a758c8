import { imageError } from './errors.ts'
import type { TarHeader } from './tar-reader.ts'
import { tarEnd } from './tar-writer.ts'
import { type Translated, tarOfChildren } from './tree-tar.ts'
import { opaqueName, whiteoutName } from './whiteouts.ts'
import { restoreXattr } from './xattr-policy.ts'

/**
 * What a container has written, as a layer: the upper folder of its overlay in the words of the image specification
 * (layer.md, "Representing Changes"). Overlayfs' own attributes are no part of the files. Throws `IMAGE_UNSUPPORTED` for
 * folders that were renamed and files whose data stayed below (redirect_dir, metacopy): their contents are elsewhere.
 */
export async function* tarOfUpper(upper: number): AsyncGenerator<Buffer> {
  yield* tarOfChildren(upper, { translate })
  yield tarEnd
}

function translate(header: TarHeader): Translated {
  const { type, major, minor, name, xattrs } = header
  if (type === 'character-device' && major === 0 && minor === 0) {
    return { header: undefined, markers: [marker(header, whiteoutName(name))] }
  }
  for (const key of ['redirect', 'metacopy']) {
    if (xattrs.has(`trusted.overlay.${key}`)) {
      throw imageError('IMAGE_UNSUPPORTED', `read ${JSON.stringify(name.toString())}: overlayfs keeps it as a ${key}`)
    }
  }
  const kept = [...xattrs].flatMap(([key, value]): [string, Buffer][] => {
    const restored = restoreXattr(key)
    return restored === undefined ? [] : [[restored, value]]
  })
  const isOpaque = xattrs.get('trusted.overlay.opaque')?.toString('latin1') === 'y'
  return {
    header: { ...header, xattrs: new Map(kept) },
    markers: isOpaque ? [marker(header, Buffer.concat([name, opaqueName]))] : [],
  }
}

function marker({ mtime }: TarHeader, name: Buffer): TarHeader {
  const empty = Buffer.alloc(0)
  return { name, link: empty, type: 'file', mode: 0, uid: 0, gid: 0, size: 0, mtime, major: 0, minor: 0, xattrs: none }
}

const none: ReadonlyMap<string, Buffer> = new Map()
