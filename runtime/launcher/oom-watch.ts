import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { cgroups } from '../cgroups/driver.ts'
import { lastOomVictim } from '../linux/oom-notices.ts'
import type { OomEvent } from './protocol.ts'

/** What a watch tells, and to whom. */
export interface OomListener {
  id: string
  log: Log
  emit(event: OomEvent): void
}

/**
 * Tells of every kill for want of memory in a container's group as it happens, and of those that came too late for
 * that when it is closed. Nothing is registered for a container that no memory limit concerns: there the machine itself
 * has run out, and the count at the end says so.
 */
export class OomWatch {
  readonly #path: string
  readonly #listener: OomListener
  #told = 0
  #stop = () => {}
  #isClosed = false

  constructor(cgroupPath: string, listener: OomListener) {
    this.#path = cgroupPath
    this.#listener = listener
  }

  /** Begins; kills of before, when another launcher watched, are not told again. */
  open(): void {
    if (this.#isClosed || this.#path === '') return
    try {
      this.#told = cgroups().oomKills(this.#path)
      if (cgroups().memoryLimit(this.#path)) {
        this.#stop = cgroups().watchOom(this.#path, () => void this.#look())
      }
    } catch (error) {
      const { id, log } = this.#listener
      log.warn('kills for want of memory are told only when the container ends', { id, reason: messageOf(error) })
    }
  }

  /** How many processes of the container have been killed, ever. Tells of those that it has not told of. */
  close(): number {
    this.#isClosed = true
    this.#stop()
    return this.#path === '' ? 0 : this.#tellNew()
  }

  /** The kernel gives notice before it kills, so the count may grow a moment later. */
  async #look(): Promise<void> {
    const before = this.#told
    for (let tries = 0; tries < 20 && !this.#isClosed && this.#told === before; tries++) {
      if (this.#tellNew() > before) return
      await sleep(10)
    }
  }

  #tellNew(): number {
    const kills = cgroups().oomKills(this.#path)
    if (kills <= this.#told) return kills
    this.#told = kills
    const limit = cgroups().memoryLimit(this.#path)
    const peakBytes = cgroups().memoryPeak(this.#path)
    const victim = lastOomVictim(`/${this.#path}`)
    this.#listener.emit({
      type: 'oom',
      id: this.#listener.id,
      at: new Date().toISOString(),
      kills,
      ...(victim ? { victim: { pid: victim.pid, name: victim.name } } : {}),
      ...(limit ? { limitBytes: limit.bytes, limitedBy: limit.path } : {}),
      ...(peakBytes === undefined ? {} : { peakBytes }),
    })
    return kills
  }
}
