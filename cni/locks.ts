/**
 * CNI forbids two operations on one container at a time, and any operation during GC. Operations on different
 * containers run side by side; an exclusive one waits for those before it and keeps back those after it.
 */
export class OperationLocks {
  readonly #tails = new Map<string, Promise<unknown>>()
  #gate: Promise<unknown> = Promise.resolve()

  /** Runs `act` after every earlier operation with this key. */
  run<Result>(key: string, act: () => Promise<Result>): Promise<Result> {
    const before = [this.#gate, this.#tails.get(key)]
    const turn = Promise.all(before).then(act)
    const tail = turn
      .catch(() => {})
      .then(() => {
        if (this.#tails.get(key) === tail) this.#tails.delete(key)
      })
    this.#tails.set(key, tail)
    return turn
  }

  /** Runs `act` alone. */
  alone<Result>(act: () => Promise<Result>): Promise<Result> {
    const turn = Promise.all([this.#gate, ...this.#tails.values()]).then(act)
    this.#gate = turn.catch(() => {})
    return turn
  }
}
