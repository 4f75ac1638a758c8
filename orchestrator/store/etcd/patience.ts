import type { Clock } from '../../../runtime/base/clock.ts'

const firstPauseMilliseconds = 20
const longestPauseMilliseconds = 500

/** How long one operation may go on trying: through an election, not through an outage. */
const patienceMilliseconds = 20_000

/** The time that one operation has, and its pauses between attempts. */
export class Patience {
  readonly #clock: Clock
  readonly #until: number
  #pauseMilliseconds = firstPauseMilliseconds

  constructor(clock: Clock) {
    this.#clock = clock
    this.#until = clock.now() + patienceMilliseconds
  }

  get isOver(): boolean {
    return this.#clock.now() >= this.#until
  }

  async pause(): Promise<void> {
    await this.#clock.sleep(this.#pauseMilliseconds * (0.5 + Math.random()))
    this.#pauseMilliseconds = Math.min(2 * this.#pauseMilliseconds, longestPauseMilliseconds)
  }
}
