import { closeSync, rmSync } from 'node:fs'
import koffi from 'koffi'
import { bind } from './ffi.ts'
import { pollReadable } from './process.ts'

const socket = bind('int socket(int domain, int type, int protocol)')
const bindAddress = bind('int bind(int fd, const void *address, uint32_t length)')
const listen = bind('int listen(int fd, int backlog)')
const accept = bind('int accept4(int fd, void *address, void *length, int flags)')
const recvmsg = bind('int64_t recvmsg(int fd, void *message, int flags)')

const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0o2000000
const MSG_CMSG_CLOEXEC = 0x40000000
const SCM_RIGHTS = 1
/** struct sockaddr_un (unix(7)): the family, then at most 108 bytes of path with its NUL. */
const pathBytes = 108
const sliceMilliseconds = 100

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
  const address = Buffer.alloc(2 + pathBytes)
  address.writeUInt16LE(AF_UNIX, 0)
  address.write(path, 2)
  const listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
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
