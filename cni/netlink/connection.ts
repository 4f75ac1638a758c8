import { NetlinkSocket } from '../../runtime/linux/netlink-socket.ts'
import { netlinkError } from './acknowledgement.ts'
import { decodeMessages, encodeRequest, type Message, NLM_F_ACK, NLM_F_DUMP, type Request } from './wire.ts'

const NLMSG_ERROR = 2
const NLMSG_DONE = 3
const dumpAttempts = 5

/**
 * Requests and answers with the kernel's routing tables in the network namespace where it was opened. Errors are
 * `NETLINK`, in the words of `what` and of the kernel's extended acknowledgement.
 *
 * Requests run on a thread of the pool, because almost all of them take the kernel's one lock for network devices
 * (rtnl), which another process or a dying namespace may hold for tens of milliseconds. As there is only that one
 * lock, all connections of this process stand in one queue: they never occupy more than one thread.
 */
export class NetlinkConnection {
  static #queue: Promise<unknown> = Promise.resolve()
  readonly #socket = NetlinkSocket.open()
  #sequence = 1

  /** Carries out one change. `what` says it for an error: `add address 10.1.0.2/24 to eth0`. */
  async change(what: string, request: Request): Promise<void> {
    await this.#exchange(what, { ...request, flags: request.flags | NLM_F_ACK })
  }

  /** The answer to a question about one thing. */
  async get(what: string, request: Request): Promise<Message> {
    const [answer] = await this.#exchange(what, { ...request, flags: request.flags | NLM_F_ACK })
    if (!answer) throw new RangeError(`${what}: the kernel answered nothing`)
    return answer
  }

  /** All answers to a question about many things, asked again while changes disturb it. */
  async dump(what: string, request: Request): Promise<Message[]> {
    for (let attempt = 1; ; attempt++) {
      const answers = await this.#exchange(what, { ...request, flags: request.flags | NLM_F_DUMP })
      if (attempt === dumpAttempts || !answers.some((answer) => answer.interrupted)) return answers
    }
  }

  #exchange(what: string, request: Request): Promise<Message[]> {
    const turn = NetlinkConnection.#queue.then(async () => {
      const sequence = this.#sequence++
      await this.#socket.send(encodeRequest(request, sequence))
      return this.#collect(what, sequence)
    })
    NetlinkConnection.#queue = turn.catch(() => {})
    return turn
  }

  /** Reads until the acknowledgement or the end of the dump; messages of other requests are left-overs and skipped. */
  #collect(what: string, sequence: number): Message[] {
    const answers: Message[] = []
    for (;;) {
      for (const message of decodeMessages(this.#socket.receive())) {
        if (message.sequence !== sequence) continue
        if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) {
          answers.push(message)
          continue
        }
        const error = netlinkError(what, message)
        if (error) throw error
        return answers
      }
    }
  }

  close(): void {
    this.#socket.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}
