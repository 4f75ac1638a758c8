import { closeSync, openSync, rmSync } from 'node:fs'
import koffi from 'koffi'
import { bind } from './ffi.ts'
import { pollReadable } from './process.ts'

/*
 * Descriptors by unix sockets (SCM_RIGHTS; unix(7), cmsg(3)): the masters of terminals between engines and runtimes, and the
 * listeners of seccomp filters for their agents. Node's own sockets cannot carry them.
 */
const socket = bind('int socket(int domain, int type, int protocol)')
const setsockopt = bind('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)')
const connect = bind('int connect(int fd, const void *address, uint32_t length)')
const sendmsg = bind('int64_t sendmsg(int fd, const void *message, int flags)')
const bindAddress = bind('int bind(int fd, const void *address, uint32_t length)')
const listen = bind('int listen(int fd, int backlog)')
const accept = bind('int accept4(int fd, void *address, void *length, int flags)')
const recvmsg = bind('int64_t recvmsg(int fd, void *message, int flags)')

const AF_UNIX = 1
const SOCK_STREAM_CLOEXEC = 0o2000001
const SOCK_CLOEXEC = 0o2000000
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const SO_SNDTIMEO = 21
const MSG_NOSIGNAL = 0x4000
const MSG_CMSG_CLOEXEC = 0x40000000
const O_PATH = 0o10000000
/** `sun_path` of unix(7), its final NUL among them. */
const pathBytes = 108
const secondsToWait = 10n
const sliceMilliseconds = 100

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
    const address = addressOf(`/proc/self/fd/${place}`)
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

/** A unix socket on which one descriptor is waited for. */
export interface DescriptorInbox {
  /** The first descriptor that somebody sends (SCM_RIGHTS), ours to close. Throws `KERNEL`, or an Error after `milliseconds`. */
  receive(milliseconds: number): Promise<number>
  /** Closes the socket and removes its file. */
  close(): void
}

/**
 * Listens at `path` for a descriptor: what OCI runtimes send to their `--console-socket`. Throws `KERNEL`, and
 * RangeError for a path that does not fit into an address.
 */
export function descriptorInbox(path: string): DescriptorInbox {
  if (Buffer.byteLength(path) >= pathBytes)
    throw new RangeError(`socket path ${path} is longer than ${pathBytes - 1} bytes`)
  const address = addressOf(path)
  const listener = socket(AF_UNIX, SOCK_STREAM_CLOEXEC, 0)
  try {
    bindAddress(listener, address, address.length)
    listen(listener, 1)
  } catch (error) {
    closeSync(listener)
    throw error
  }
  let isClosed = false
  /** In slices: closing a descriptor does not wake who polls it, and its number may soon be another's. */
  const readable = async (fd: number, until: number) => {
    while (!isClosed && performance.now() < until) {
      const [ready] = await pollReadable([fd], sliceMilliseconds)
      if (ready !== undefined && !isClosed) return
    }
    throw new Error(`wait for a descriptor at ${path}: none came in time`)
  }
  return {
    async receive(milliseconds) {
      const until = performance.now() + milliseconds
      await readable(listener, until)
      const connection = accept(listener, null, null, SOCK_CLOEXEC)
      try {
        await readable(connection, until)
        return receiveFrom(connection, path)
      } finally {
        closeSync(connection)
      }
    },
    close() {
      isClosed = true
      closeSync(listener)
      rmSync(path, { force: true })
    },
  }
}

/** recvmsg(2) with room for one descriptor. A name comes with it, which says nothing to us. */
function receiveFrom(connection: number, path: string): number {
  const name = Buffer.alloc(4096)
  const vector = Buffer.alloc(16)
  vector.writeBigUInt64LE(koffi.address(name), 0)
  vector.writeBigUInt64LE(BigInt(name.length), 8)
  const control = Buffer.alloc(24)
  const message = Buffer.alloc(56)
  message.writeBigUInt64LE(koffi.address(vector), 16)
  message.writeBigUInt64LE(1n, 24)
  message.writeBigUInt64LE(koffi.address(control), 32)
  message.writeBigUInt64LE(BigInt(control.length), 40)
  recvmsg(connection, message, MSG_CMSG_CLOEXEC)
  const hasOne = message.readBigUInt64LE(40) >= 20n && control.readInt32LE(12) === SCM_RIGHTS
  if (!hasOne) throw new Error(`receive at ${path}: no descriptor came with the message`)
  return control.readInt32LE(16)
}

/** `struct sockaddr_un`. */
function addressOf(path: string): Buffer {
  const address = Buffer.alloc(2 + pathBytes)
  address.writeUInt16LE(AF_UNIX, 0)
  address.write(path, 2, pathBytes - 1)
  return address
}
