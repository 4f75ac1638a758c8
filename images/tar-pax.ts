import { imageError } from './errors.ts'

/** Records of an extended header: keys are text, values are bytes. */
export type PaxRecords = Map<string, Buffer>

/** Reads `<length> <key>=<value>\n` records; pax(1), "pax Extended Header". Throws `IMAGE_LAYER_INVALID`. */
export function decodePax(bytes: Buffer): PaxRecords {
  const records: PaxRecords = new Map()
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const digits = space < 0 ? '' : bytes.toString('latin1', at, space)
    const length = Number(digits)
    const end = at + length
    if (!/^\d{1,9}$/.test(digits) || end > bytes.length || bytes[end - 1] !== 0x0a) throw damaged()
    const equals = bytes.indexOf(0x3d, space)
    if (equals < 0 || equals >= end) throw damaged()
    records.set(bytes.toString('utf8', space + 1, equals), Buffer.from(bytes.subarray(equals + 1, end - 1)))
    at = end
  }
  return records
}

function damaged() {
  return imageError('IMAGE_LAYER_INVALID', 'read tar archive: an extended header is damaged')
}
