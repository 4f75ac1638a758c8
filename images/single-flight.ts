interface Flight<Result> {
  result: Promise<Result>
  passengers: number
  stop: AbortController
}

/**
 * The same work is done once for all who want it at the same time. It is given up when the last of them has lost
 * interest, not before; that one waits until it has come to an end.
 */
export class SingleFlight<Result> {
  readonly #flights = new Map<string, Flight<Result>>()

  /** Joins the flight with this key, or begins it. Rejects with `signal.reason` when this passenger leaves. */
  async run(
    key: string,
    signal: AbortSignal | undefined,
    start: (signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    signal?.throwIfAborted()
    const flight = this.#flights.get(key) ?? this.#begin(key, start)
    flight.passengers++
    const left = Promise.withResolvers<never>()
    const leave = () => left.reject(signal?.reason)
    signal?.addEventListener('abort', leave, { once: true })
    try {
      return await Promise.race([flight.result, left.promise])
    } finally {
      signal?.removeEventListener('abort', leave)
      if (--flight.passengers === 0) {
        // Nobody may join a flight that is being given up.
        if (this.#flights.get(key) === flight) this.#flights.delete(key)
        flight.stop.abort(signal?.reason)
        await flight.result.catch(() => {})
      }
    }
  }

  #begin(key: string, start: (signal: AbortSignal) => Promise<Result>): Flight<Result> {
    const stop = new AbortController()
    const result = start(stop.signal)
    const flight = { result, passengers: 0, stop }
    this.#flights.set(key, flight)
    result
      .catch(() => {})
      .finally(() => {
        if (this.#flights.get(key) === flight) this.#flights.delete(key)
      })
    return flight
  }
}
