import { imageError } from './errors.ts'

const prefix = Buffer.from('.wh.')
/** Hides all that layers below have in its folder. */
export const opaqueName: Buffer = Buffer.from('.wh..wh..opq')
const slash = 0x2f

/**
 * The components of a name in an archive, cleaned: a leading slash, empty ones, `.` and `..` go. `..` above the root stays
 * at the root, as in a chroot. Throws `IMAGE_LAYER_INVALID` on zeros and on names longer than the kernel takes.
 */
export function splitPath(name: Buffer): Buffer[] {
  if (name.includes(0)) throw imageError('IMAGE_LAYER_INVALID', 'read tar archive: a name holds a zero byte')
  const parts: Buffer[] = []
  for (let at = 0; at <= name.length; ) {
    const end = name.indexOf(slash, at)
    const part = name.subarray(at, end < 0 ? name.length : end)
    at = end < 0 ? name.length + 1 : end + 1
    const text = part.length > 2 ? '' : part.toString('latin1')
    if (part.length === 0 || text === '.') continue
    if (text === '..') parts.pop()
    else parts.push(part)
  }
  return parts
}

/** `.wh..wh..opq` hides everything of the layers below in its folder. Image specification, layer.md. */
export function isOpaqueMarker(name: Buffer): boolean {
  return name.equals(opaqueName)
}

/** The name that `.wh.<name>` hides; undefined for other names. Throws `IMAGE_LAYER_INVALID` for `.wh.` alone. */
export function whiteoutTarget(name: Buffer): Buffer | undefined {
  if (!name.subarray(0, prefix.length).equals(prefix)) return undefined
  const hidden = name.subarray(prefix.length)
  // Further markers of AUFS (.wh..wh.plnk and others) mean nothing here, as everywhere else.
  const bad = hidden.length === 0 || hidden.equals(Buffer.from('.')) || hidden.equals(Buffer.from('..'))
  if (bad)
    throw imageError('IMAGE_LAYER_INVALID', `unpack whiteout ${JSON.stringify(name.toString())}: it hides nothing`)
  return hidden
}

/** The name in an archive that hides what is at this path. */
export function whiteoutName(path: Buffer): Buffer {
  const at = path.lastIndexOf(slash) + 1
  return Buffer.concat([path.subarray(0, at), prefix, path.subarray(at)])
}
