import { specInvalid } from './errors.ts'

/** Whose numbers are listed: how one of them is called, and how many there can be. */
export interface Numbered {
  noun: string
  most: number
  /** What is said first of one that is wrong. */
  complaint?: string
}

/** The numbers of a list such as `0-3,7`, as a mask of whole 64-bit words. Throws SPEC_INVALID, naming `field`. */
export function maskOf(field: string, list: string, { noun, most, complaint = '' }: Numbered): Uint8Array {
  const mask = new Uint8Array(most / 8)
  for (const part of list.split(',')) {
    const range = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part)
    const [first, last] = [Number(range?.[1]), Number(range?.[2] ?? range?.[1])]
    if (!range || last < first || last >= most) {
      throw specInvalid(field, `${complaint}${JSON.stringify(part)} is not a ${noun} or a range of them`)
    }
    for (let at = first; at <= last; at++) mask[at >> 3] = (mask[at >> 3] ?? 0) | (1 << (at & 7))
  }
  // No longer than needed: the kernel reads as much as there is.
  return mask.subarray(0, (Math.floor(mask.findLastIndex((byte) => byte !== 0) / 8) + 1) * 8)
}
