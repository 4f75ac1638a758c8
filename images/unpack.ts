import { Worker } from 'node:worker_threads'
import { fromRecord } from '../runtime/base/errors.ts'
import { shareHeaps } from '../runtime/linux/malloc.ts'
import type { LayerReport } from './apply-layer.ts'
import type { Arrival } from './arrivals.ts'
import { imageError } from './errors.ts'
import type { Have } from './packed-file.ts'
import { Slots } from './slots.ts'
import type { InheritStep, UnpackJob } from './unpack-job.ts'
import type { FromWorker, ToWorker, Work, WorkAnswer } from './unpack-messages.ts'

/** A layer to unpack, by the descriptor of its file. */
export type LayerJob = Omit<UnpackJob, 'have'>

interface UnpackRun {
  /** Stops the work. */
  signal: AbortSignal
  /** Told how many bytes of the blob have been read. */
  onProgress?: (bytes: number) => void
}

/**
 * Threads that unpack, so that this one is never held up: each is started when it is needed, used again for the next
 * layer, and ended when nobody holds them. Layers that are still on their way have a few of their own and never wait for
 * one: however slowly they come, those that are there go on.
 */
export class UnpackThreads {
  readonly #slots: Slots
  #alongFree: number
  readonly #idle: UnpackThread[] = []
  #busy = 0
  #holders = 0

  /** At most so many for layers that are there, and about as many for those that are coming. */
  constructor(most: number) {
    this.#slots = new Slots(most)
    this.#alongFree = Math.max(1, most - 1)
  }

  /** Keeps the threads until the function that this returns is called. */
  hold(): () => void {
    this.#holders++
    return () => {
      if (--this.#holders === 0) for (const thread of this.#idle.splice(0)) thread.end()
    }
  }

  /** Starts one in advance, unless there is one. Only for somebody who holds the threads. */
  warm(): void {
    if (this.#busy + this.#idle.length === 0) this.#idle.push(new UnpackThread())
  }

  /** Unpacks a layer. When this has settled, nobody writes to its folder any more. Throws what `unpackLayer` throws. */
  unpack(job: LayerJob, run: UnpackRun): Promise<LayerReport> {
    return this.#slots.run(() => this.#unpack({ ...job, have: { bytes: 0, isWhole: true } }, run))
  }

  /**
   * Unpacks a layer while it comes, whatever its bytes are: the caller must stop it when they are given up, and may use
   * the folder only when they have been verified. Undefined when no thread is free for that. Throws like `unpack`.
   */
  unpackAlong(job: LayerJob, arrival: Arrival, run: UnpackRun): Promise<LayerReport> | undefined {
    if (this.#alongFree === 0) return undefined
    this.#alongFree--
    return this.#unpack({ ...job, have: haveOf(arrival) }, run, arrival).finally(() => this.#alongFree++)
  }

  /** Gives folders that layers do not name the looks of those below, the lowest layer first. */
  async completeFolders(steps: readonly InheritStep[], signal: AbortSignal): Promise<void> {
    const needed = steps.filter(({ folders }) => folders.length > 0)
    if (needed.length > 0) await this.#slots.run(() => this.#run({ kind: 'inherit', steps: needed }, { signal }))
  }

  async #unpack(job: UnpackJob, run: UnpackRun, arrival?: Arrival): Promise<LayerReport> {
    const message = await this.#run({ kind: 'unpack', job }, run, arrival)
    if (message.kind !== 'unpacked') throw new TypeError(`a thread answered ${message.kind}`)
    return message.report
  }

  async #run(work: Work, run: UnpackRun, arrival?: Arrival): Promise<WorkAnswer> {
    const release = this.hold()
    this.#busy++
    try {
      run.signal.throwIfAborted()
      const thread = this.#idle.pop() ?? new UnpackThread()
      const message = await thread.perform(work, run, arrival)
      if (thread.isAlive) this.#idle.push(thread)
      if (message.kind === 'failed') throw fromRecord(message.error)
      return message
    } finally {
      this.#busy--
      release()
    }
  }
}

const haveOf = ({ bytes, state }: Arrival): Have => ({ bytes, isWhole: state === 'verified' })
/** A thread is told when there are so many bytes more: a message costs as much as some thousands of them. */
const tellEveryBytes = 1 << 20

class UnpackThread {
  isAlive = true
  readonly #worker: Worker
  readonly #ended: Promise<number>

  constructor() {
    // Megabytes pass through as buffers: without these two, twice as many stay as are in use.
    shareHeaps(1)
    const resourceLimits = { maxYoungGenerationSizeMb: 2 }
    // Descriptors of the worker are its own calls of open(2), which Node knows nothing of; it closes them itself.
    const options = { trackUnmanagedFds: false, resourceLimits }
    this.#worker = new Worker(new URL('./unpack-worker.ts', import.meta.url), options)
    this.#ended = new Promise((resolve) => this.#worker.once('exit', resolve))
    // An error is told before the end, and nobody may be given this thread in between.
    for (const event of ['error', 'exit']) {
      this.#worker.once(event, () => {
        this.isAlive = false
      })
    }
  }

  /** One piece of work at a time; of a layer that is still coming, the thread hears how much there is. */
  async perform(work: Work, { signal, onProgress }: UnpackRun, arrival?: Arrival): Promise<WorkAnswer> {
    const answer = Promise.withResolvers<WorkAnswer>()
    const stop = () => this.#say({ kind: 'stop' })
    const hear = (message: FromWorker) => {
      if (message.kind === 'unpacking') onProgress?.(message.bytes)
      else answer.resolve(message)
    }
    this.#worker.on('message', hear)
    this.#worker.once('error', answer.reject)
    void this.#ended.then((code) => {
      answer.reject(imageError('IMAGE_LAYER_INVALID', `unpack: the thread ended (${code})`))
    })
    signal.addEventListener('abort', stop)
    const leave = arrival && this.#follow(arrival)
    try {
      this.#say({ kind: 'work', work })
      return await answer.promise
    } finally {
      leave?.()
      signal.removeEventListener('abort', stop)
      this.#worker.off('message', hear)
      this.#worker.off('error', answer.reject)
    }
  }

  end(): void {
    this.#say({ kind: 'end' })
  }

  #follow(arrival: Arrival): () => void {
    let told = arrival.bytes
    return arrival.watch(() => {
      const have = haveOf(arrival)
      if (!have.isWhole && have.bytes - told < tellEveryBytes) return
      told = have.bytes
      this.#say({ kind: 'grown', have })
    })
  }

  #say(message: ToWorker): void {
    this.#worker.postMessage(message)
  }
}
