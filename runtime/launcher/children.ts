import { setTimeout as sleep } from 'node:timers/promises'
import { type Exit, reapChild, reapOne } from '../linux/process.ts'
import { launcherError } from './errors.ts'

/** The one in this process that reaps whoever ends. */
let reaper: Children | undefined

/**
 * The end of one child of this process. Where a `Children` reaps everybody it tells; elsewhere (Node has children of its
 * own there) this one alone is asked for, every few milliseconds: on a thread, one that hangs would hold up others.
 */
export async function waitForChild(pid: number): Promise<Exit> {
  if (reaper) return reaper.wait(pid)
  for (let wait = 1; ; wait = Math.min(wait * 2, 20)) {
    const exit = reapChild(pid)
    if (exit === 'gone') throw launcherError('NOT_RUNNING', `wait for ${pid}: it is no child of this process`)
    if (exit !== 'running') return exit
    await sleep(wait)
  }
}

/** Has a child reaped for whose exit nobody asks: until then it counts in its cgroup. */
export async function reapLater(pid: number): Promise<void> {
  await waitForChild(pid).catch(() => {})
}

/** Far more than births that are under way at once. */
const mostUnasked = 4096

/**
 * Waits for the launcher's own children, without polling and without a thread: SIGCHLD says that there is something
 * to reap, and since signals merge, everything is reaped each time. An exit that nobody has asked for yet is kept:
 * a process can end before its pid is known here.
 */
export class Children {
  readonly #waiting = new Map<number, (exit: Exit) => void>()
  readonly #ended = new Map<number, { exit: Exit; order: number }>()
  #order = 0
  readonly #onSignal = () => this.#reap()
  /** A handler for a signal does not keep a process alive; somebody who waits for a child must. */
  #awake: NodeJS.Timeout | undefined

  constructor() {
    reaper = this
    process.on('SIGCHLD', this.#onSignal)
  }

  /** Now, for `wait`: taken before a child is made, it tells its end from that of an earlier process with the same pid. */
  moment(): number {
    return this.#order
  }

  /** The exit of one child that was made after `since`. */
  wait(pid: number, since = 0): Promise<Exit> {
    const ended = this.#ended.get(pid)
    this.#ended.delete(pid)
    if (ended && ended.order >= since) return Promise.resolve(ended.exit)
    this.#awake ??= setInterval(() => {}, 2 ** 30)
    return new Promise((resolve) => this.#waiting.set(pid, resolve))
  }

  close(): void {
    reaper = undefined
    process.off('SIGCHLD', this.#onSignal)
    this.#sleep()
  }

  #sleep(): void {
    clearInterval(this.#awake)
    this.#awake = undefined
  }

  /** Orphans of whom nobody will ever ask come here too, once we are a subreaper: the oldest are forgotten. */
  #keep(exit: Exit): void {
    this.#ended.set(exit.pid, { exit, order: this.#order++ })
    const [oldest] = this.#ended.keys()
    if (this.#ended.size > mostUnasked && oldest !== undefined) this.#ended.delete(oldest)
  }

  #reap(): void {
    for (let exit = reapOne(); exit; exit = reapOne()) {
      const tell = this.#waiting.get(exit.pid)
      if (tell) {
        this.#waiting.delete(exit.pid)
        tell(exit)
      } else this.#keep(exit)
    }
    if (this.#waiting.size === 0) this.#sleep()
  }
}
