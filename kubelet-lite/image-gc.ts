/** Room on the disk for images: what the kubelet's image manager does every five minutes. */
import type { Images, ReclaimOptions } from '../images/index.ts'
import type { Clock } from '../runtime/base/clock.ts'
import { messageOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'

const pauseMs = 5 * 60_000

export interface ImageGarbageOptions {
  images: Pick<Images, 'reclaim'>
  /** Thresholds; those of the kubelet's configuration by default. */
  settings?: ReclaimOptions
  clock: Clock
  log: Log
}

/** Removes unused images when the disk is too full. Images of containers stay whatever happens. */
export class ImageGarbage {
  readonly #options: ImageGarbageOptions
  readonly #stop = new AbortController()
  #loop: Promise<void> = Promise.resolve()

  constructor(options: ImageGarbageOptions) {
    this.#options = options
  }

  start(): void {
    this.#loop = this.#run()
  }

  async close(): Promise<void> {
    this.#stop.abort(new Error('the kubelet stops'))
    await this.#loop
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await this.#options.clock.sleep(pauseMs, signal).catch(() => undefined)
      if (!signal.aborted) await this.#once()
    }
  }

  async #once(): Promise<void> {
    const { images, settings, log } = this.#options
    try {
      const { usedPercent, wantedBytes, freedBytes, removed } = await images.reclaim(settings)
      const facts = { usedPercent, wantedBytes, freedBytes, removed: removed.flatMap(({ references }) => references) }
      if (freedBytes < wantedBytes) log.warn('images: the disk stays too full, the rest is in use or too young', facts)
      else if (removed.length > 0) log.info('images removed, the disk was too full', facts)
    } catch (error) {
      log.warn('images: room could not be made', { reason: messageOf(error) })
    }
  }
}
