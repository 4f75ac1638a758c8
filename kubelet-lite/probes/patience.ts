/** How much later than asked for a timer may come before it says more of us than of who is waited for. */
const tolerableMs = 50

/**
 * A time limit for somebody's answer. When this process itself stood still as the time ran out, the answer may be here
 * and only unread: then there is as much time again, once.
 */
export class Patience {
  readonly #controller = new AbortController()
  #timer: NodeJS.Timeout

  constructor(milliseconds: number, reason: string) {
    const due = performance.now() + milliseconds
    const abort = () => this.#controller.abort(new Error(reason))
    this.#timer = setTimeout(() => {
      if (performance.now() - due < tolerableMs) abort()
      else this.#timer = setTimeout(abort, milliseconds)
    }, milliseconds)
  }

  /** Aborts when the time is over, with the reason. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The answer is here, or nobody wants it any more. */
  end(): void {
    clearTimeout(this.#timer)
  }
}
