/** How much is worked on at once, and for how long. Source: k8s.io/apiserver/pkg/server/filters/{maxinflight,timeout}.go. */
import { badRequest, requestTimeout, tooManyRequests } from '../api/status.ts'
import { mastersGroup } from '../api/user.ts'
import type { Caller } from './authenticator.ts'
import { isLong, type RequestSeries, type ServerMetrics } from './metrics.ts'
import type { Registry } from './registry.ts'
import type { RequestInfo } from './request-info.ts'

export interface TrafficLimits {
  readonly readOnly: number
  readonly mutating: number
  readonly seconds: number
}

/** kube-apiserver's own defaults. */
export const usualLimits: TrafficLimits = { readOnly: 400, mutating: 200, seconds: 60 }

type RequestKind = 'readOnly' | 'mutating'

/** One request from its arrival to its end. */
export interface Passage {
  readonly isLong: boolean
  /** The work, or TIMEOUT when it takes longer than it may; the work itself goes on. */
  inTime<T>(work: Promise<T>): Promise<T>
  /** Must be called once; again does nothing. */
  end(code: number): void
}

export class Traffic {
  readonly #limits: TrafficLimits
  readonly #registry: Registry
  readonly #inFlight: Record<RequestKind, number> = { readOnly: 0, mutating: 0 }

  constructor(registry: Registry, limits: TrafficLimits) {
    this.#registry = registry
    this.#limits = limits
  }

  /** Throws TOO_MANY_REQUESTS, BAD_REQUEST (`timeout`). The masters are always let in, so that somebody can help. */
  enter({ query, user }: { query: URLSearchParams; user: Caller }, info: RequestInfo): Passage {
    const { metrics } = this.#registry
    const series = metrics.seriesOf(info, this.#isKnown(info), query.get('dryRun') ?? '')
    if (isLong(info)) return longPassage(metrics, series)
    const kind = kindOf(info)
    if (this.#inFlight[kind] >= this.#limits[kind] && !isMaster(user)) {
      metrics.answered(series, 429, undefined)
      throw tooManyRequests('Too many requests, please try again later.', 1)
    }
    const seconds = secondsOf(query, this.#limits.seconds)
    this.#count(kind, 1)
    const start = performance.now()
    let isOver = false
    return {
      isLong: false,
      inTime: (work) => within(work, seconds),
      end: (code) => {
        if (isOver) return
        isOver = true
        this.#count(kind, -1)
        metrics.answered(series, code, (performance.now() - start) / 1000)
      },
    }
  }

  #count(kind: RequestKind, change: 1 | -1): void {
    this.#inFlight[kind] += change
    this.#registry.metrics.inFlight[kind] = this.#inFlight[kind]
  }

  /** False for what a client can invent: it is not counted by its name. */
  #isKnown(info: RequestInfo): boolean {
    if (info.type === 'path') return false
    const kind = this.#registry.kinds.find(info)
    return (
      kind !== undefined && (info.subresource === '' || kind.subresources.some(({ name }) => name === info.subresource))
    )
  }
}

function longPassage(metrics: ServerMetrics, series: RequestSeries): Passage {
  const { dry_run: _, ...open } = series.labels
  metrics.longRunning.inc(open)
  let isOver = false
  return {
    isLong: true,
    inTime: (work) => work,
    end(code) {
      if (isOver) return
      isOver = true
      metrics.longRunning.dec(open)
      metrics.answered(series, code, undefined)
    },
  }
}

const isMaster = (user: Caller) => user !== null && user !== 'invalid' && user.groups.includes(mastersGroup)

const readVerbs = ['get', 'list', 'head', 'options']

const kindOf = ({ verb }: RequestInfo): RequestKind => (readVerbs.includes(verb) ? 'readOnly' : 'mutating')

const unitSeconds: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 }

/** What the client is content to wait, and no more than we let it: Go's durations, such as `32s` and `1m30s`. */
function secondsOf(query: URLSearchParams, most: number): number {
  const text = query.get('timeout')
  if (text === null || text === '') return most
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) throw badRequest('invalid timeout specified in the request URL')
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)]
  const seconds = parts.reduce((sum, [, number, unit = 's']) => sum + Number(number) * (unitSeconds[unit] ?? 0), 0)
  return seconds === 0 ? most : Math.min(seconds, most)
}

function within<T>(work: Promise<T>, seconds: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(requestTimeout()), seconds * 1000)
    const after =
      <V>(tell: (value: V) => void) =>
      (value: V) => {
        clearTimeout(timer)
        tell(value)
      }
    work.then(after(resolve), after(reject))
  })
}
