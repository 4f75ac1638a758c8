import { connect, type TLSSocket } from 'node:tls'

export interface Access {
  readonly port: number
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export interface Answered {
  readonly status: number
  readonly bytes: number
}

/**
 * One kept connection that speaks just enough HTTP/1.1 to load a server: Node's own client would take more of the two
 * processors than what is measured.
 */
export class HttpConnection {
  readonly #socket: TLSSocket
  #pending: Buffer = Buffer.alloc(0)
  /** Bytes of the body that are still to come. */
  #left = 0
  #answered: Answered = { status: 0, bytes: 0 }
  #waiting: ((answer: Answered) => void) | undefined
  #failed: ((error: Error) => void) | undefined
  /** Gets every byte instead, once set: for a watch. */
  onData: ((bytes: Buffer) => void) | undefined

  private constructor(socket: TLSSocket) {
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => this.#take(bytes))
    socket.on('error', (error) => this.#failed?.(error))
    socket.on('close', () => this.#failed?.(new Error('the server has closed the connection')))
  }

  static open({ port, ca, cert, key }: Access): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, ca, cert, key, servername: 'localhost' })
      socket.setNoDelay(true)
      socket.once('secureConnect', () => resolve(new HttpConnection(socket)))
      socket.once('error', reject)
    })
  }

  /** Sends a request and resolves to its answer, whose body is counted and thrown away. */
  request(method: string, path: string, body = ''): Promise<Answered> {
    return new Promise((resolve, reject) => {
      this.#waiting = resolve
      this.#failed = reject
      this.send(method, path, body)
    })
  }

  /** Sends a request and leaves its answer to `onData`. */
  send(method: string, path: string, body = ''): void {
    const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: application/json\r\n`
    const entity = body === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`
    this.#socket.write(`${head}${entity}\r\n${body}`)
  }

  close(): void {
    this.#failed = undefined
    this.#socket.destroy()
  }

  #take(bytes: Buffer): void {
    if (this.onData) {
      this.onData(bytes)
      return
    }
    if (this.#left > 0) {
      this.#left -= bytes.length
      if (this.#left <= 0) this.#answer()
      return
    }
    this.#pending = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes])
    const end = this.#pending.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = this.#pending.toString('latin1', 0, end)
    this.#answered = { status: Number(head.slice(9, 12)), bytes: Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0) }
    // The body is counted down, not kept: it may be large.
    this.#left = this.#answered.bytes - (this.#pending.length - end - 4)
    this.#pending = Buffer.alloc(0)
    if (this.#left <= 0) this.#answer()
  }

  #answer(): void {
    this.#left = 0
    this.#waiting?.(this.#answered)
  }
}
