/** The server's own measures, under Kubernetes' names. Source: k8s.io/apiserver/pkg/endpoints/metrics/metrics.go. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry as Metrics } from 'prom-client'
import type { RequestInfo, ResourceRequest } from './request-info.ts'

/** Seconds, as Kubernetes' own. */
const requestBuckets = [
  0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1, 1.25, 1.5, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 45, 60,
]
const storeBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

const requestLabels = ['verb', 'group', 'version', 'resource', 'subresource', 'scope', 'component'] as const
export type RequestLabels = Readonly<Record<(typeof requestLabels)[number] | 'dry_run', string>>

export interface WatchCount {
  readonly group: string
  readonly version: string
  readonly resource: string
  events: number
}

/** All requests that the metrics do not tell apart. */
export interface RequestSeries {
  readonly labels: RequestLabels
  /** How many were answered, by code. */
  readonly answered: Map<number, number>
}

export class ServerMetrics {
  readonly #all = new Metrics()
  readonly #series = new Map<string, RequestSeries>()
  readonly #durations = new Histogram({
    name: 'apiserver_request_duration_seconds',
    help: 'Time until the answer; without watches and other long requests.',
    labelNames: [...requestLabels, 'dry_run'],
    buckets: requestBuckets,
    registers: [this.#all],
  })
  /** How many requests are worked on now. */
  readonly inFlight = { readOnly: 0, mutating: 0 }
  readonly longRunning = new Gauge({
    name: 'apiserver_longrunning_requests',
    help: 'Watches and other requests that last as long as the client likes.',
    labelNames: [...requestLabels],
    registers: [this.#all],
  })
  readonly #watchEvents = new Map<string, WatchCount>()
  readonly #storeDurations = new Histogram({
    name: 'etcd_request_duration_seconds',
    help: 'Time of a request to the store, whichever it is.',
    labelNames: ['operation', 'type'],
    buckets: storeBuckets,
    registers: [this.#all],
  })

  /** `objects`: how many there are now, by resource. */
  constructor(objects: () => Iterable<readonly [resource: string, count: number]>) {
    const series = this.#series
    new Counter({
      name: 'apiserver_request_total',
      help: 'Requests by what was asked and the code of the answer.',
      labelNames: [...requestLabels, 'dry_run', 'code'],
      registers: [this.#all],
      collect() {
        this.reset()
        for (const { labels, answered } of series.values())
          for (const [code, count] of answered) this.inc({ ...labels, code }, count)
      },
    })
    const { inFlight } = this
    new Gauge({
      name: 'apiserver_current_inflight_requests',
      help: 'Requests that are worked on, by kind.',
      labelNames: ['request_kind'],
      registers: [this.#all],
      collect() {
        for (const [kind, count] of Object.entries(inFlight)) this.set({ request_kind: kind }, count)
      },
    })
    const counts = this.#watchEvents
    new Counter({
      name: 'apiserver_watch_events_total',
      help: 'Events sent to watchers.',
      labelNames: ['group', 'version', 'resource'],
      registers: [this.#all],
      collect() {
        this.reset()
        for (const { events, ...labels } of counts.values()) this.inc(labels, events)
      },
    })
    new Gauge({
      name: 'apiserver_storage_objects',
      help: 'Objects that are stored, by resource.',
      labelNames: ['resource'],
      registers: [this.#all],
      collect() {
        for (const [resource, count] of objects()) this.set({ resource }, count)
      },
    })
  }

  /** From now on also `process_*` and `nodejs_*`. */
  measureProcess(): void {
    collectDefaultMetrics({ register: this.#all })
  }

  /** Where a request counts. What is no resource we know is told apart by nothing a client can invent. */
  seriesOf(info: RequestInfo, isKnown: boolean, dryRun: string): RequestSeries {
    const key = keyOf(info, isKnown, dryRun)
    const known = this.#series.get(key)
    if (known) return known
    const series = { labels: labelsOf(info, isKnown, dryRun), answered: new Map<number, number>() }
    this.#series.set(key, series)
    return series
  }

  answered({ labels, answered }: RequestSeries, code: number, seconds: number | undefined): void {
    answered.set(code, (answered.get(code) ?? 0) + 1)
    if (seconds !== undefined) this.#durations.observe(labels, seconds)
  }

  /** Where a watcher counts: one event goes to thousands, so that it has to cost nothing. */
  watchCount({ group, version, resource }: Omit<WatchCount, 'events'>): WatchCount {
    const key = `${group}/${version}/${resource}`
    const count = this.#watchEvents.get(key) ?? { group, version, resource, events: 0 }
    this.#watchEvents.set(key, count)
    return count
  }

  storeAnswered(operation: string, type: string, seconds: number): void {
    this.#storeDurations.observe({ operation, type }, seconds)
  }

  /** All of it in Prometheus' text format. */
  async text(): Promise<{ contentType: string; body: string }> {
    return { contentType: this.#all.contentType, body: await this.#all.metrics() }
  }
}

const verbNames: Readonly<Record<string, string>> = { create: 'POST', update: 'PUT' }

/** The same for requests with the same labels. */
function keyOf(info: RequestInfo, isKnown: boolean, dryRun: string): string {
  const dry = dryRun === 'All'
  if (info.type === 'path' || !isKnown) return `${info.type} ${dry}`
  const { verb, group, version, resource, subresource } = info
  return `${verb} ${group}/${version}/${resource}/${subresource} ${scopeOf(info)} ${dry}`
}

/** A request in the words of the metrics. */
function labelsOf(info: RequestInfo, isKnown: boolean, dryRun: string): RequestLabels {
  const none = { group: '', version: '', resource: '', subresource: '', scope: '', component: 'apiserver' }
  const dry = { dry_run: dryRun === 'All' ? 'All' : '' }
  if (info.type === 'path' || !isKnown) return { verb: info.type === 'path' ? 'GET' : 'other', ...none, ...dry }
  const { verb, group, version, resource, subresource } = info
  return {
    verb: isLong(info) && verb !== 'watch' ? 'CONNECT' : (verbNames[verb] ?? verb.toUpperCase()),
    ...{ group, version, resource, subresource, scope: scopeOf(info) },
    component: 'apiserver',
    ...dry,
  }
}

function scopeOf({ name, namespace }: ResourceRequest): string {
  if (name !== '') return 'resource'
  return namespace !== undefined ? 'namespace' : 'cluster'
}

const longSubresources = ['log', 'proxy', 'exec', 'attach', 'portforward']

/** Lasts as long as the client likes: no time limit and no place among those in flight. */
export function isLong(info: RequestInfo): boolean {
  return info.type === 'resource' && (info.verb === 'watch' || longSubresources.includes(info.subresource))
}
