import { damagedTar } from './tar-fields.ts'

/** Records of an extended header: keys are text, values are bytes. */
export type PaxRecords = Map<string, Buffer>

const pieceKeys = ['GNU.sparse.offset', 'GNU.sparse.numbytes']

/**
 * Reads `<length> <key>=<value>\n` records; pax(1), "pax Extended Header". The pieces of a sparse file (GNU tar's form 0.0)
 * are the one thing whose keys come again and again: they become `GNU.sparse.map`, as in form 0.1. Throws `IMAGE_LAYER_INVALID`.
 */
export function decodePax(bytes: Buffer): PaxRecords {
  const records: PaxRecords = new Map()
  const pieces: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const digits = space < 0 ? '' : bytes.toString('latin1', at, space)
    const length = Number(digits)
    const end = at + length
    if (!/^\d{1,9}$/.test(digits) || end > bytes.length || bytes[end - 1] !== 0x0a)
      throw damagedTar('an extended header is damaged')
    const equals = bytes.indexOf(0x3d, space)
    if (equals < 0 || equals >= end) throw damagedTar('an extended header is damaged')
    const [key, value] = [bytes.toString('utf8', space + 1, equals), Buffer.from(bytes.subarray(equals + 1, end - 1))]
    at = end
    if (!pieceKeys.includes(key)) records.set(key, value)
    else if (key !== pieceKeys[pieces.length % 2]) throw damagedTar('an extended header is damaged')
    else pieces.push(value.toString('latin1'))
  }
  if (pieces.length > 0) records.set('GNU.sparse.map', Buffer.from(pieces.join(',')))
  return records
}
