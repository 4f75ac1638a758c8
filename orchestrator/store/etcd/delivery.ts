import { storeError } from '../errors.ts'

interface Waiting {
  readonly revision: number
  resolve(): void
  reject(error: Error): void
}

/** How far subscribers have been told, and who waits for them to be told more. */
export class Delivery {
  #revision = 0
  #waiting: Waiting[] = []
  #closed = false

  get revision(): number {
    return this.#revision
  }

  /** Everything up to `revision` has been told. */
  advance(revision: number): void {
    if (revision <= this.#revision) return
    this.#revision = revision
    const { reached = [], others = [] } = Object.groupBy(this.#waiting, (waiting) =>
      waiting.revision <= revision ? 'reached' : 'others',
    )
    this.#waiting = others
    for (const waiting of reached) waiting.resolve()
  }

  /**
   * Resolves to true when everything up to `revision` has been told, to false when that took longer. Throws STORE_CLOSED.
   */
  async reach(revision: number, milliseconds: number): Promise<boolean> {
    if (this.#revision >= revision) return true
    let timer: NodeJS.Timeout | undefined
    try {
      return await new Promise<boolean>((resolve, reject) => {
        if (this.#closed) return reject(closedError())
        this.#waiting.push({ revision, resolve: () => resolve(true), reject })
        timer = setTimeout(() => resolve(false), milliseconds)
      })
    } finally {
      clearTimeout(timer)
    }
  }

  close(): void {
    this.#closed = true
    for (const waiting of this.#waiting.splice(0)) waiting.reject(closedError())
  }
}

function closedError(): Error {
  return storeError('STORE_CLOSED', 'use the store: it is closed')
}
