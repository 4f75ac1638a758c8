import { closeSync, constants, openSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import koffi from 'koffi'
import { bind } from './ffi.ts'

const socket = bind('int socket(int domain, int type, int protocol)')
const connect = bind('int connect(int fd, const void *address, uint32_t length)')
const sendmsg = bind('int64_t sendmsg(int fd, const void *message, int flags)')

const AF_UNIX = 1
const SOCK_STREAM = 1
const SOCK_CLOEXEC = 0o2000000
const MSG_NOSIGNAL = 0x4000
const SOL_SOCKET = 1
const SCM_RIGHTS = 1
const O_PATH = 0o10000000
/** struct sockaddr_un (unix(7)): the family, then at most 108 bytes of path with its NUL. */
const pathBytes = 108

/**
 * Sends a descriptor to whoever listens at the unix socket `path`, of any length, with `name` as the message: what OCI engines
 * expect at their `--console-socket` (SCM_RIGHTS, cmsg(3)). The descriptor stays ours too. Throws `KERNEL` when nobody listens.
 */
export function sendDescriptor(path: string, descriptor: number, name: string): void {
  const connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
  try {
    connectTo(connection, path)
    const text = Buffer.from(name)
    const vector = Buffer.alloc(16)
    vector.writeBigUInt64LE(koffi.address(text), 0)
    vector.writeBigUInt64LE(BigInt(text.length), 8)
    const control = Buffer.alloc(24)
    control.writeBigUInt64LE(20n, 0)
    control.writeInt32LE(SOL_SOCKET, 8)
    control.writeInt32LE(SCM_RIGHTS, 12)
    control.writeInt32LE(descriptor, 16)
    const message = Buffer.alloc(56)
    message.writeBigUInt64LE(koffi.address(vector), 16)
    message.writeBigUInt64LE(1n, 24)
    message.writeBigUInt64LE(koffi.address(control), 32)
    message.writeBigUInt64LE(BigInt(control.length), 40)
    sendmsg(connection, message, MSG_NOSIGNAL)
  } finally {
    closeSync(connection)
  }
}

/** A path that is too long for an address is shortened by the folder's descriptor. */
function connectTo(connection: number, path: string): void {
  if (Buffer.byteLength(path) < pathBytes) {
    connect(connection, addressOf(path), 2 + pathBytes)
    return
  }
  const folder = openSync(dirname(path), O_PATH | constants.O_DIRECTORY)
  try {
    connect(connection, addressOf(`/proc/self/fd/${folder}/${basename(path)}`), 2 + pathBytes)
  } finally {
    closeSync(folder)
  }
}

function addressOf(path: string): Buffer {
  const address = Buffer.alloc(2 + pathBytes)
  address.writeUInt16LE(AF_UNIX, 0)
  address.write(path, 2, pathBytes - 1)
  return address
}
