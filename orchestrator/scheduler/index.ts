import type { Clock } from '../../runtime/base/clock.ts'
import { hasCode, messageOf } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import { resources } from '../api/resources.ts'
import type { Node, Pod } from '../api/types.ts'
import type { ApiClient } from '../client/api-client.ts'
import { EventRecorder } from '../client/event-recorder.ts'
import { Informer } from '../client/informer.ts'
import { bind } from './bind.ts'
import { SchedulerCache } from './cache.ts'
import { decide, explained, explainFailure } from './cycle.ts'
import type { Decision, Plugins } from './framework.ts'
import { defaultPlugins } from './plugins/index.ts'
import { podInfo } from './pod-info.ts'
import { SchedulingQueue } from './queue.ts'

export interface SchedulerOptions {
  client: ApiClient
  clock: Clock
  log: Log
  /** 0 ≤ x < 1, like Math.random. */
  random: () => number
  plugins?: Plugins
}

const schedulerName = 'default-scheduler'
const decisionsKept = 10_000

/** Gives every pod without a node one; keeps the reasons. */
export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #plugins: Plugins
  readonly #events: EventRecorder
  readonly #pods: Informer<Pod>
  readonly #nodes: Informer<Node>
  readonly #cache = new SchedulerCache()
  readonly #queue = new SchedulingQueue()
  readonly #decisions = new Map<string, Decision>()
  readonly #uids = new Map<string, string>()
  readonly #binding = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #scheduled = false
  #closed = false

  constructor(options: SchedulerOptions) {
    const { client, clock, log } = options
    this.#options = options
    this.#plugins = options.plugins ?? defaultPlugins
    this.#events = new EventRecorder({ client, component: schedulerName, clock, log })
    this.#pods = new Informer({ client, resource: resources.pods, onChange: (key) => this.#podChanged(key) })
    this.#nodes = new Informer({ client, resource: resources.nodes, onChange: (name) => this.#nodeChanged(name) })
  }

  /** Resolves when nodes and pods are known. */
  async start(): Promise<void> {
    await this.#nodes.start()
    await this.#pods.start()
  }

  /** The last decision about a pod, `namespace/name`, as JSON; undefined when there was none, or too long ago. */
  explain(key: string): unknown {
    const decision = this.#decisions.get(this.#pods.get(key)?.metadata?.uid ?? '')
    return decision && explained(decision)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    await Promise.all([this.#pods.close(), this.#nodes.close()])
    await Promise.all(this.#binding)
    await this.#events.close()
  }

  #nodeChanged(name: string): void {
    const node = this.#nodes.get(name)
    if (node) this.#cache.setNode(node)
    else this.#cache.removeNode(name)
    this.#queue.clusterChanged(this.#options.clock.now())
    this.#wake()
  }

  #podChanged(key: string): void {
    const pod = this.#pods.get(key)
    const before = this.#uids.get(key)
    const uid = pod?.metadata?.uid
    if (before !== undefined && before !== uid) this.#gone(before)
    if (uid === undefined || !pod) this.#uids.delete(key)
    else {
      this.#uids.set(key, uid)
      this.#seen(pod, uid)
    }
    this.#wake()
  }

  #seen(pod: Pod, uid: string): void {
    const ended = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
    const nodeName = pod.spec?.nodeName
    if (ended) this.#gone(uid)
    else if (nodeName) {
      this.#queue.remove(uid)
      this.#cache.place(pod, nodeName)
    } else this.#unassigned(pod, uid)
  }

  #unassigned(pod: Pod, uid: string): void {
    const gated = (pod.spec?.schedulingGates ?? []).length > 0
    const ours = (pod.spec?.schedulerName ?? schedulerName) === schedulerName
    const wanted = ours && !gated && pod.metadata?.deletionTimestamp === undefined
    // An assumed pod is on its way: what the watch shows of it is older than the decision.
    if (wanted && !this.#cache.isPlaced(uid) && !this.#isRefused(pod, uid)) this.#queue.add(pod)
    else if (!wanted) this.#queue.remove(uid)
  }

  /** True while the only news about a pod is our own note that no node would do. */
  #isRefused(pod: Pod, uid: string): boolean {
    const decision = this.#decisions.get(uid)
    if (!decision || decision.node !== undefined) return false
    return (
      pod.status?.conditions?.some((each) => each.type === 'PodScheduled' && each.reason === 'Unschedulable') ?? false
    )
  }

  #gone(uid: string): void {
    this.#cache.remove(uid)
    this.#queue.remove(uid)
    this.#queue.clusterChanged(this.#options.clock.now())
  }

  #wake(): void {
    if (this.#scheduled || this.#closed) return
    this.#scheduled = true
    setImmediate(() => this.#drain())
  }

  /** Decides for every pod that may be tried now. Deciding is pure and quick; binding goes on behind it. */
  #drain(): void {
    this.#scheduled = false
    const { clock } = this.#options
    for (let pod = this.#queue.next(clock.now()); pod && !this.#closed; pod = this.#queue.next(clock.now())) {
      this.#schedule(pod)
    }
    const due = this.#queue.nextDue()
    clearTimeout(this.#timer)
    if (due !== undefined && !this.#closed) this.#timer = setTimeout(() => this.#wake(), Math.max(1, due - clock.now()))
  }

  #schedule(pod: Pod): void {
    const { clock, random } = this.#options
    const how = { plugins: this.#plugins, now: clock.now(), tieBreak: random() }
    const decision = decide(podInfo(pod), this.#cache.nodes(), how)
    this.#keep(decision)
    if (decision.node !== undefined) this.#cache.place(pod, decision.node)
    else this.#queue.failed(pod, clock.now())
    const work = (decision.node === undefined ? this.#report(pod, decision) : this.#bind(pod, decision.node)).finally(
      () => this.#binding.delete(work),
    )
    this.#binding.add(work)
  }

  #keep(decision: Decision): void {
    this.#decisions.delete(decision.podUid)
    this.#decisions.set(decision.podUid, decision)
    const [oldest] = this.#decisions.keys()
    if (this.#decisions.size > decisionsKept && oldest !== undefined) this.#decisions.delete(oldest)
  }

  async #bind(pod: Pod, nodeName: string): Promise<void> {
    const { namespace, name, uid = '' } = pod.metadata ?? {}
    try {
      await bind(this.#options.client, pod, nodeName)
      const message = `Successfully assigned ${namespace}/${name} to ${nodeName}`
      this.#events.record(pod, { type: 'Normal', reason: 'Scheduled', message })
    } catch (error) {
      this.#cache.remove(uid)
      const gone = hasCode(error, 'NOT_FOUND') || hasCode(error, 'CONFLICT')
      if (gone || this.#closed) return
      this.#options.log.warn(`bind ${namespace}/${name} to ${nodeName}: ${messageOf(error)}`, { error })
      this.#queue.failed(pod, this.#options.clock.now())
      this.#queue.clusterChanged(this.#options.clock.now())
      this.#wake()
    }
  }

  async #report(pod: Pod, decision: Decision): Promise<void> {
    const { client, clock, log } = this.#options
    const { namespace = '', name = '' } = pod.metadata ?? {}
    const message = explainFailure(decision)
    this.#events.record(pod, { type: 'Warning', reason: 'FailedScheduling', message })
    const old = pod.status?.conditions?.find((each) => each.type === 'PodScheduled')
    if (old?.status === 'False' && old.message === message) return
    const lastTransitionTime = new Date(clock.now()).toISOString().replace(/\.\d+Z$/, 'Z')
    const condition = { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message, lastTransitionTime }
    const body = { status: { conditions: [condition] } }
    try {
      await client.patch(resources.pods, { namespace, name }, { type: 'strategic', body, subresource: 'status' })
    } catch (error) {
      if (!hasCode(error, 'NOT_FOUND')) log.warn(`pod ${namespace}/${name}: ${messageOf(error)}`, { error })
    }
  }
}
