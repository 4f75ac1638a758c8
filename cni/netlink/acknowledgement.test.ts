import { describe, expect, it } from 'vitest'
import { netlinkError } from './acknowledgement.ts'
import { attributeText, decodeMessages, type Message } from './wire.ts'

/** An NLMSG_ERROR as the kernel sends it: errno, the header of the request, and its words. */
function anError(o: { errno: number; words?: string; capped?: boolean }): Message {
  const errno = Buffer.alloc(4)
  errno.writeInt32LE(-o.errno)
  const request = Buffer.alloc(o.capped === false ? 32 : 16)
  request.writeUInt32LE(32, 0)
  const words = o.words === undefined ? Buffer.alloc(0) : attributeText(1, o.words)
  const flags = (o.capped === false ? 0 : 0x100) | (o.words === undefined ? 0 : 0x200)
  const payload = Buffer.concat([errno, request, words])
  const header = Buffer.alloc(16)
  header.writeUInt32LE(16 + payload.length, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(flags, 6)
  const [message] = decodeMessages(Buffer.concat([header, payload]))
  if (!message) throw new Error('no message')
  return message
}

describe('netlinkError', () => {
  it('errno 0: is success', () => {
    expect(netlinkError('add route', anError({ errno: 0 }))).toBeUndefined()
  })

  it('errno: its name ends the sentence', () => {
    expect(netlinkError('add route', anError({ errno: 17 }))).toMatchObject({
      message: 'add route: EEXIST',
      facts: { errno: 'EEXIST' },
    })
  })

  it.each([true, false])('words of the kernel: are told, request capped: %s', (capped) => {
    const error = netlinkError('add route', anError({ errno: 22, words: 'Nexthop has invalid gateway', capped }))
    expect(error?.message).toBe('add route: EINVAL (Nexthop has invalid gateway)')
  })
})
