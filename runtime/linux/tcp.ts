import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { errnoOf } from '../base/errors.ts'
import { bind } from './ffi.ts'
import { inNetworkNamespace } from './netns.ts'

const socketCall = bind('int socket(int domain, int type, int protocol)')
const connectCall = bind('int connect(int fd, const uint8_t* address, uint32_t length)')

const AF_INET = 2
const SOCK_STREAM = 1
const SOCK_NONBLOCK = 0o4000
const SOCK_CLOEXEC = 0o2000000

/**
 * A TCP connection to `127.0.0.1:port` inside the network namespace at `netns`. Made by hand because Node opens its
 * sockets later than it is told to, when the thread has left the namespace again. Never blocks: a connection that is
 * still being made fails on the socket. Throws `KERNEL` (ECONNREFUSED when nobody listens), ENOENT without namespace.
 */
export function connectLoopback(netns: string, port: number): Socket {
  const fd = inNetworkNamespace(netns, () => socketCall(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0))
  const address = Buffer.alloc(16)
  address.writeUInt16LE(AF_INET, 0)
  address.writeUInt16BE(port, 2)
  address.set([127, 0, 0, 1], 4)
  try {
    connectCall(fd, address, address.length)
  } catch (error) {
    if (errnoOf(error) !== 'EINPROGRESS') {
      closeSync(fd)
      throw error
    }
  }
  return new Socket({ fd, readable: true, writable: true, allowHalfOpen: true })
}
