import { closeSync } from 'node:fs'
import { bind } from './ffi.ts'

const socket = bind('int socket(int domain, int type, int protocol)')
const bindAddress = bind('int bind(int fd, const void *address, uint32_t length)')
const setsockopt = bind('int setsockopt(int fd, int level, int name, const void *value, uint32_t length)')
const send = bind('int64_t send(int fd, const void *bytes, size_t length, int flags)')
const recv = bind('int64_t recv(int fd, void *bytes, size_t length, int flags)')

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_CLOEXEC = 0o2000000
const NETLINK_ROUTE = 0
const SOL_SOCKET = 1
const SO_RCVTIMEO = 20
const SOL_NETLINK = 270
const NETLINK_CAP_ACK = 10
const NETLINK_EXT_ACK = 11
const NETLINK_GET_STRICT_CHK = 12
const MSG_TRUNC = 0x20

/** The kernel fills at most 32 KiB of a dump into one datagram (netlink(7), NLMSG_GOODSIZE). */
const receiveBytes = 65536
const receiveTimeoutSeconds = 10n

/**
 * A NETLINK_ROUTE socket: datagrams in, datagrams out, nothing interpreted. It belongs to the network namespace in
 * which it was opened, from wherever it is used later. The kernel answers a request before `send` returns, so reading
 * the answer does not wait. Extended acknowledgements and strict checking of dump filters are on. See netlink(7).
 */
export class NetlinkSocket {
  readonly #fd: number
  readonly #buffer = Buffer.alloc(receiveBytes)

  private constructor(fd: number) {
    this.#fd = fd
  }

  /** Opens the socket in the network namespace of the calling thread. Throws `KERNEL`. */
  static open(): NetlinkSocket {
    const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)
    try {
      const address = Buffer.alloc(12)
      address.writeUInt16LE(AF_NETLINK, 0)
      bindAddress(fd, address, address.length)
      const one = Buffer.from([1, 0, 0, 0])
      for (const option of [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK]) {
        setsockopt(fd, SOL_NETLINK, option, one, one.length)
      }
      const timeval = Buffer.alloc(16)
      timeval.writeBigInt64LE(receiveTimeoutSeconds, 0)
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeval, timeval.length)
    } catch (error) {
      closeSync(fd)
      throw error
    }
    return new NetlinkSocket(fd)
  }

  /** Sends one datagram on a thread of the pool; the kernel has carried out the request when it is done. Throws `KERNEL`. */
  async send(bytes: Uint8Array): Promise<void> {
    await send.async(this.#fd, bytes, bytes.length, 0)
  }

  /** The next datagram, as a copy. Throws `KERNEL` with EAGAIN when none comes within ten seconds. */
  receive(): Buffer {
    const length = recv(this.#fd, this.#buffer, this.#buffer.length, MSG_TRUNC)
    if (length > this.#buffer.length) throw new RangeError(`netlink datagram of ${length} bytes`)
    return Buffer.from(this.#buffer.subarray(0, length))
  }

  close(): void {
    closeSync(this.#fd)
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
