import { constants, deflateRawSync, inflateRawSync } from 'node:zlib'
import { streamingError } from '../errors.ts'

/** Names in lower case; several values of one name are separated by a zero byte. */
export type SpdyHeaders = ReadonlyMap<string, string>

/**
 * The text that both sides of SPDY/3 have compressed before they begin: 68 words with their lengths, and a tail.
 * Source: SPDY protocol draft 3.1, section 2.6.10.1.
 */
const words = [
  ...'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges'.split(
    ' ',
  ),
  ...'age allow authorization cache-control connection content-base content-encoding content-language'.split(' '),
  ...'content-length content-location content-md5 content-range content-type date etag expect expires from'.split(' '),
  ...'host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location'.split(' '),
  ...'max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer'.split(
    ' ',
  ),
  ...'transfer-encoding upgrade user-agent vary via warning www-authenticate method get status'.split(' '),
  '200 OK',
  ...'version HTTP/1.1 url public set-cookie keep-alive origin'.split(' '),
]
const tail =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative' +
  ' Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500' +
  ' Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov' +
  ' Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,' +
  'application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch' +
  'charset=utf-8charset=iso-8859-1,utf-,*,enq=0.'

export const dictionary = Buffer.concat([...words.map(sized), Buffer.from(tail)])

/** CMF and FLG of zlib with the bit for a dictionary, and the dictionary's Adler-32. RFC 1950. */
const zlibHeader = Buffer.from([0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2])
const windowBytes = 1 << 15
/** Headers of streams are a few words; more is an attack. */
const maximumBlockBytes = 1 << 16

/**
 * All header blocks of one direction are one zlib stream, flushed after each block. At such a point the only state of
 * the format is the text of the last 32 kB; so each block is handled in one synchronous call with that as dictionary.
 */
abstract class HeaderCodec {
  protected window = dictionary
  protected isFirst = true

  protected remember(text: Buffer): void {
    this.window = Buffer.concat([this.window, text]).subarray(-windowBytes)
    this.isFirst = false
  }
}

export class HeaderDecoder extends HeaderCodec {
  /** Throws `STREAM_PROTOCOL`; after that the connection is of no use. */
  decode(block: Buffer): SpdyHeaders {
    const start = this.isFirst ? zlibHeader.length : 0
    // The first two bytes say how hard the peer compresses; only the dictionary has to be the same.
    if (this.isFirst && !block.subarray(2, start).equals(zlibHeader.subarray(2))) throw damaged('another dictionary')
    let text: Buffer
    try {
      const options = { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: maximumBlockBytes }
      text = inflateRawSync(block.subarray(start), { dictionary: this.window, ...options })
    } catch (error) {
      throw streamingError('STREAM_PROTOCOL', 'read SPDY headers: they are damaged or too long', { cause: error })
    }
    this.remember(text)
    return parse(text)
  }
}

export class HeaderEncoder extends HeaderCodec {
  encode(headers: SpdyHeaders): Buffer {
    const count = Buffer.alloc(4)
    count.writeUInt32BE(headers.size)
    const text = Buffer.concat([count, ...[...headers].flatMap(([name, value]) => [sized(name), sized(value)])])
    const options = { dictionary: this.window, finishFlush: constants.Z_SYNC_FLUSH }
    const block = deflateRawSync(text, options)
    const whole = this.isFirst ? Buffer.concat([zlibHeader, block]) : block
    this.remember(text)
    return whole
  }
}

function sized(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

function parse(text: Buffer): SpdyHeaders {
  let at = 0
  const number = () => {
    if (at + 4 > text.length) throw damaged('cut short')
    at += 4
    return text.readUInt32BE(at - 4)
  }
  const word = () => {
    const length = number()
    if (at + length > text.length) throw damaged('cut short')
    at += length
    return text.toString('utf8', at - length, at)
  }
  const headers = new Map<string, string>()
  for (let left = number(); left > 0; left--) headers.set(word().toLowerCase(), word())
  return headers
}

function damaged(reason: string) {
  return streamingError('STREAM_PROTOCOL', `read SPDY headers: ${reason}`)
}
