import { CoracleError } from '../../runtime/base/errors.ts'
import { errnoName } from '../../runtime/linux/errno.ts'
import { decodeAttributes, headerBytes, type Message, textOf } from './wire.ts'

const NLMSG_DONE = 3
const NLM_F_CAPPED = 0x100
const NLM_F_ACK_TLVS = 0x200
const NLMSGERR_ATTR_MSG = 1
const errnoBytes = 4

/**
 * The failure that an NLMSG_ERROR or NLMSG_DONE tells of, or undefined when it says success. The kernel's own words
 * (extended acknowledgement) become part of the message.
 */
export function netlinkError(what: string, message: Message): CoracleError | undefined {
  if (message.payload.length < errnoBytes) return undefined
  const errno = -message.payload.readInt32LE(0)
  if (errno === 0) return undefined
  const name = errnoName(errno)
  const words = message.flags & NLM_F_ACK_TLVS ? wordsOf(message) : undefined
  return new CoracleError(`${what}: ${name}${words ? ` (${words})` : ''}`, {
    code: 'NETLINK',
    facts: { errno: name, ...(words ? { kernel: words } : {}) },
    retryable: name === 'EINTR' || name === 'EAGAIN' || name === 'EBUSY',
  })
}

function wordsOf(message: Message): string | undefined {
  const { payload } = message
  let at = errnoBytes
  // An error repeats the request that failed, only its header when capped; the end of a dump repeats nothing.
  if (message.type !== NLMSG_DONE) {
    const echoed = payload.readUInt32LE(errnoBytes)
    at += message.flags & NLM_F_CAPPED ? headerBytes : (echoed + 3) & ~3
  }
  return textOf(decodeAttributes(payload.subarray(at)).get(NLMSGERR_ATTR_MSG))
}
