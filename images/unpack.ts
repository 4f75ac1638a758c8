import { Worker } from 'node:worker_threads'
import { fromRecord } from '../runtime/base/errors.ts'
import { shareHeaps } from '../runtime/linux/malloc.ts'
import type { LayerReport } from './apply-layer.ts'
import { imageError } from './errors.ts'
import { Slots } from './slots.ts'
import type { InheritStep, UnpackJob } from './unpack-job.ts'
import type { FromWorker, ToWorker, Work, WorkAnswer } from './unpack-messages.ts'

/**
 * Threads that unpack, so that this one is never held up: at most so many, each started when it is needed, used again for
 * the next layer, and ended when there is nothing more to do.
 */
export class UnpackThreads {
  readonly #slots: Slots
  readonly #idle: UnpackThread[] = []
  #wanted = 0

  constructor(most: number) {
    this.#slots = new Slots(most)
  }

  /** Unpacks a layer. When this has settled, nobody writes to its folder any more. Throws what `unpackLayer` throws. */
  async unpack(job: UnpackJob, signal: AbortSignal, onProgress?: (bytes: number) => void): Promise<LayerReport> {
    const message = await this.#run({ kind: 'unpack', job }, signal, onProgress)
    if (message.kind !== 'unpacked') throw new TypeError(`a thread answered ${message.kind}`)
    return message.report
  }

  /** Gives folders that layers do not name the looks of those below, the lowest layer first. */
  async completeFolders(steps: readonly InheritStep[], signal: AbortSignal): Promise<void> {
    const needed = steps.filter(({ folders }) => folders.length > 0)
    if (needed.length > 0) await this.#run({ kind: 'inherit', steps: needed }, signal)
  }

  async #run(work: Work, signal: AbortSignal, onProgress?: (bytes: number) => void): Promise<WorkAnswer> {
    this.#wanted++
    try {
      return await this.#slots.run(async () => {
        signal.throwIfAborted()
        const thread = this.#idle.pop() ?? new UnpackThread()
        const message = await thread.perform(work, signal, onProgress)
        if (thread.isAlive) this.#idle.push(thread)
        if (message.kind === 'failed') throw fromRecord(message.error)
        return message
      })
    } finally {
      if (--this.#wanted === 0) for (const thread of this.#idle.splice(0)) thread.end()
    }
  }
}

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

  /** One piece of work at a time. */
  async perform(work: Work, signal: AbortSignal, onProgress?: (bytes: number) => void): Promise<WorkAnswer> {
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
    try {
      this.#say({ kind: 'work', work })
      return await answer.promise
    } finally {
      signal.removeEventListener('abort', stop)
      this.#worker.off('message', hear)
      this.#worker.off('error', answer.reject)
    }
  }

  end(): void {
    this.#say({ kind: 'end' })
  }

  #say(message: ToWorker): void {
    this.#worker.postMessage(message)
  }
}
