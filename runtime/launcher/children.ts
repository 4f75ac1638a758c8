import { type Exit, reapOne } from '../linux/process.ts'

/**
 * Waits for the launcher's own children, without polling and without a thread: SIGCHLD says that there is something
 * to reap, and since signals merge, everything is reaped each time. An exit that nobody has asked for yet is kept:
 * a process can end before its pid is known here.
 */
export class Children {
  readonly #waiting = new Map<number, (exit: Exit) => void>()
  readonly #ended = new Map<number, Exit>()
  readonly #onSignal = () => this.#reap()
  /** A handler for a signal does not keep a process alive; somebody who waits for a child must. */
  #awake: NodeJS.Timeout | undefined

  constructor() {
    process.on('SIGCHLD', this.#onSignal)
  }

  /** The exit of one child. */
  wait(pid: number): Promise<Exit> {
    const ended = this.#ended.get(pid)
    if (ended) {
      this.#ended.delete(pid)
      return Promise.resolve(ended)
    }
    this.#awake ??= setInterval(() => {}, 2 ** 30)
    return new Promise((resolve) => this.#waiting.set(pid, resolve))
  }

  close(): void {
    process.off('SIGCHLD', this.#onSignal)
    this.#sleep()
  }

  #sleep(): void {
    clearInterval(this.#awake)
    this.#awake = undefined
  }

  #reap(): void {
    for (let exit = reapOne(); exit; exit = reapOne()) {
      const tell = this.#waiting.get(exit.pid)
      if (tell) {
        this.#waiting.delete(exit.pid)
        tell(exit)
      } else this.#ended.set(exit.pid, exit)
    }
    if (this.#waiting.size === 0) this.#sleep()
  }
}
