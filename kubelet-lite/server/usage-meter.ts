/** Measures what the node and its pods use. CPU as a rate needs two looks: nobody looks until somebody asks. */
import { cpus, freemem, totalmem } from 'node:os'
import type { Pod } from '../../orchestrator/api/types.ts'
import type { Clock } from '../../runtime/base/clock.ts'
import { anonymousMemoryBytes } from '../../runtime/linux/process-table.ts'
import type { PodUsage, RuntimeService, Usage } from '../cri/types.ts'

/** One look. `at` is in milliseconds since the epoch. */
interface Look {
  at: number
  nodeCpuNanoseconds: number
  pods: { pod: Pod; stats: PodUsage }[]
}

export interface Measured {
  usage: Usage
  /** Cores now, in billionths. */
  nanoCores: number
  startedAt: number
}

export interface Measurement {
  /** Milliseconds since the epoch. */
  at: number
  windowMs: number
  node: {
    nanoCores: number
    cpuNanoseconds: number
    memoryUsedBytes: number
    memoryAvailableBytes: number
    memoryRssBytes: number
  }
  pods: { pod: Pod; whole: Measured; containers: (Measured & { name: string })[] }[]
}

const shortestWindowMs = 1000
/** What was measured longer ago says little about now. */
const longestWindowMs = 60_000

export class UsageMeter {
  readonly #options: { runtime: RuntimeService; pods: () => readonly Pod[]; clock: Clock }
  #before: Look | undefined
  #latest: Measurement | undefined
  #pending: Promise<Measurement> | undefined

  constructor(options: { runtime: RuntimeService; pods: () => readonly Pod[]; clock: Clock }) {
    this.#options = options
  }

  /** Takes a second when nobody has asked within the last minute. Who asks at the same time shares the answer. */
  measure(): Promise<Measurement> {
    this.#pending ??= this.#measure().finally(() => {
      this.#pending = undefined
    })
    return this.#pending
  }

  async #measure(): Promise<Measurement> {
    const { clock } = this.#options
    const age = this.#before ? clock.now() - this.#before.at : Number.POSITIVE_INFINITY
    if (age < shortestWindowMs && this.#latest) return this.#latest
    let before = this.#before
    if (!before || age > longestWindowMs || age < 0) {
      before = await this.#look()
      await clock.sleep(shortestWindowMs)
    }
    const now = await this.#look()
    this.#before = now
    this.#latest = compare(before, now)
    return this.#latest
  }

  async #look(): Promise<Look> {
    const { runtime, pods, clock } = this.#options
    const seen = await Promise.all(
      // A pod that ends while we look is not there.
      pods().map(async (pod) => ({
        pod,
        stats: await runtime.podStats(pod.metadata?.uid ?? '').catch(() => undefined),
      })),
    )
    return {
      at: clock.now(),
      nodeCpuNanoseconds: nodeCpuNanoseconds(),
      pods: seen.flatMap(({ pod, stats }) => (stats ? [{ pod, stats }] : [])),
    }
  }
}

function compare(before: Look, now: Look): Measurement {
  const windowMs = Math.max(1, now.at - before.at)
  const earlier = new Map(before.pods.map(({ pod, stats }) => [pod.metadata?.uid, stats]))
  return {
    at: now.at,
    windowMs,
    node: {
      nanoCores: rate(now.nodeCpuNanoseconds - before.nodeCpuNanoseconds, windowMs),
      cpuNanoseconds: now.nodeCpuNanoseconds,
      memoryUsedBytes: totalmem() - freemem(),
      memoryAvailableBytes: freemem(),
      memoryRssBytes: anonymousMemoryBytes(),
    },
    pods: now.pods.map(({ pod, stats }) => {
      const was = earlier.get(pod.metadata?.uid)
      const measured = (one: { startedAt: number; usage: Usage }, old: typeof one | undefined): Measured => {
        // Another start is another group, whose time begins at nothing.
        const same = old?.startedAt === one.startedAt ? old : undefined
        const since = same ? windowMs : Math.max(1, now.at - one.startedAt)
        return {
          usage: one.usage,
          startedAt: one.startedAt,
          nanoCores: rate(one.usage.cpuNanoseconds - (same?.usage.cpuNanoseconds ?? 0), since),
        }
      }
      return {
        pod,
        whole: measured(stats, was),
        containers: stats.containers.map((each) => ({
          name: each.name,
          ...measured(
            each,
            was?.containers.find(({ name }) => name === each.name),
          ),
        })),
      }
    }),
  }
}

/** Billionths of a core. A counter that went back, because its group was made anew, counts as nothing. */
function rate(nanoseconds: number, milliseconds: number): number {
  return Math.max(0, Math.round((nanoseconds * 1000) / milliseconds))
}

function nodeCpuNanoseconds(): number {
  const busyMs = cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0)
  return busyMs * 1_000_000
}
