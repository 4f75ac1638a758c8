import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'
import { bind } from './ffi.ts'

const socket = bind('int socket(int domain, int type, int protocol)')
const setsockopt = bind('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)')
const connect = bind('int connect(int fd, const void *address, uint32_t length)')
const sendmsg = bind('int64_t sendmsg(int fd, const void *message, int flags)')

const AF_UNIX = 1
const SOCK_STREAM_CLOEXEC = 0o2000001
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const SO_SNDTIMEO = 21
const MSG_NOSIGNAL = 0x4000
/** `sun_path` of unix(7), its final NUL among them. */
const pathBytes = 108
const secondsToWait = 10n
const O_PATH = 0o10000000

/**
 * Connects to the unix stream socket at `path`, sends one message with descriptors of ours (SCM_RIGHTS, unix(7)) and closes
 * the connection. Waits on a thread of the pool, for 10 seconds at most. Throws `KERNEL`.
 */
export async function sendDescriptors(
  path: string,
  payload: Uint8Array,
  descriptors: readonly number[],
): Promise<void> {
  // A path may be longer than an address: by a descriptor it is short. Opening it also says at once that it is not there.
  const place = openSync(path, O_PATH)
  let fd: number | undefined
  try {
    fd = socket(AF_UNIX, SOCK_STREAM_CLOEXEC, 0)
    const timeout = Buffer.alloc(16)
    timeout.writeBigInt64LE(secondsToWait)
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, timeout, timeout.length)
    const address = Buffer.alloc(2 + pathBytes)
    address.writeUInt16LE(AF_UNIX)
    address.write(`/proc/self/fd/${place}`, 2)
    await connect.async(fd, address, address.length)
    await sendAll(fd, payload, descriptors)
  } finally {
    if (fd !== undefined) closeSync(fd)
    closeSync(place)
  }
}

/**
 * `struct msghdr`, `struct iovec`, `struct cmsghdr` and the payload lie in one piece of memory, whose addresses are valid
 * as long as it is. The descriptors go with the first part that the socket takes.
 */
async function sendAll(fd: number, payload: Uint8Array, descriptors: readonly number[]): Promise<void> {
  const control = controlMessage(descriptors)
  const at = { vector: 56, control: 72, payload: 72 + control.length }
  const block = Buffer.concat([Buffer.alloc(at.control), control, payload])
  const base = koffi.address(block)
  block.writeBigUInt64LE(base + BigInt(at.vector), 16)
  block.writeBigUInt64LE(1n, 24)
  block.writeBigUInt64LE(base + BigInt(at.control), 32)
  block.writeBigUInt64LE(BigInt(control.length), 40)
  for (let next = at.payload; next < block.length; ) {
    block.writeBigUInt64LE(base + BigInt(next), at.vector)
    block.writeBigUInt64LE(BigInt(block.length - next), at.vector + 8)
    next += await sendmsg.async(fd, block, MSG_NOSIGNAL)
    block.writeBigUInt64LE(0n, 40)
  }
}

/** One `struct cmsghdr` of SCM_RIGHTS (cmsg(3)), padded as CMSG_SPACE pads it. */
function controlMessage(descriptors: readonly number[]): Buffer {
  const length = 16 + 4 * descriptors.length
  const bytes = Buffer.alloc(Math.ceil(length / 8) * 8)
  bytes.writeBigUInt64LE(BigInt(length), 0)
  bytes.writeInt32LE(SOL_SOCKET, 8)
  bytes.writeInt32LE(SCM_RIGHTS, 12)
  descriptors.forEach((descriptor, index) => {
    bytes.writeInt32LE(descriptor, 16 + 4 * index)
  })
  return bytes
}
