/** Where pods come from: the API server's pods with this node's name, and a folder of manifests (static pods). */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { resources } from '../orchestrator/api/resources.ts'
import type { Pod } from '../orchestrator/api/types.ts'
import type { ApiClient } from '../orchestrator/client/api-client.ts'
import { Informer, keyOfObject } from '../orchestrator/client/informer.ts'
import type { Clock } from '../runtime/base/clock.ts'
import { messageOf } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'
import { readStaticPods } from './static-pods.ts'

export interface SourcesOptions {
  client: ApiClient
  nodeName: string
  /** Undefined: no static pods. */
  manifestDirectory?: string
  clock: Clock
  log: Log
  /** A pod with this UID came, changed or went. */
  onChange: (uid: string) => void
}

const manifestPollMs = 5000

/** Annotation of the object that shows a static pod: its value is the static pod's UID. */
export const isMirror = 'kubernetes.io/config.mirror'

/** The UID of the static pod that this object only shows; undefined for a pod of its own. */
export const mirrored = (pod: Pod | undefined) => pod?.metadata?.annotations?.[isMirror]

/** The pods that this node should run, by UID. */
export class Sources {
  readonly #options: SourcesOptions
  readonly #informer: Informer<Pod>
  readonly #uids = new Map<string, string>()
  readonly #keys = new Map<string, string>()
  #fromFiles = new Map<string, Pod>()
  #problems = new Map<string, string>()
  readonly #stop = new AbortController()
  #polling: Promise<void> = Promise.resolve()

  constructor(options: SourcesOptions) {
    this.#options = options
    this.#informer = new Informer({
      client: options.client,
      resource: resources.pods,
      fieldSelector: `spec.nodeName=${options.nodeName}`,
      onChange: (key) => this.#changed(key),
    })
  }

  /** Resolves when both sources were read once. */
  async start(): Promise<void> {
    await this.#informer.start()
    const folder = this.#options.manifestDirectory
    if (folder === undefined) return
    await mkdir(folder, { recursive: true })
    await this.#readManifests(folder)
    this.#polling = this.#poll(folder)
  }

  get(uid: string): Pod | undefined {
    const key = this.#keys.get(uid)
    const pod = key === undefined ? undefined : this.#informer.get(key)
    if (pod?.metadata?.uid === uid) return pod
    const fromFile = this.#fromFiles.get(uid)
    return fromFile && this.#withStatus(fromFile)
  }

  list(): Pod[] {
    return [...this.#informer.list().filter((pod) => mirrored(pod) === undefined), ...this.#staticPods()]
  }

  #staticPods(): Pod[] {
    return [...this.#fromFiles.values()].map((pod) => this.#withStatus(pod))
  }

  /** What was told of a static pod before is kept in its mirror. */
  #withStatus(pod: Pod): Pod {
    const mirror = this.mirror(pod)
    return mirror?.status && mirrored(mirror) === pod.metadata?.uid ? { ...pod, status: mirror.status } : pod
  }

  /** The object of the API that has a static pod's name, and shows it or one before it. */
  mirror(pod: Pod): Pod | undefined {
    const found = this.#informer.get(keyOfObject(pod))
    return mirrored(found) === undefined ? undefined : found
  }

  /** Objects that show a static pod whose file is gone. */
  orphanedMirrors(): Pod[] {
    const names = new Set([...this.#fromFiles.values()].map(keyOfObject))
    return this.#informer.list().filter((pod) => mirrored(pod) !== undefined && !names.has(keyOfObject(pod)))
  }

  /** True for a pod that comes from a file: the API server does not know it. */
  isStatic(uid: string): boolean {
    return this.#fromFiles.has(uid)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#informer.close()
    await this.#polling
  }

  /** A name may have come to mean another pod: both the old UID and the new one are told. */
  #changed(key: string): void {
    for (const [uid, pod] of this.#fromFiles) if (keyOfObject(pod) === key) this.#options.onChange(uid)
    const before = this.#uids.get(key)
    const found = this.#informer.get(key)
    const uid = mirrored(found) === undefined ? found?.metadata?.uid : undefined
    if (before !== undefined) this.#keys.delete(before)
    this.#uids.delete(key)
    if (uid !== undefined) {
      this.#uids.set(key, uid)
      this.#keys.set(uid, key)
    }
    if (before !== undefined && before !== uid) this.#options.onChange(before)
    if (uid !== undefined) this.#options.onChange(uid)
  }

  async #poll(folder: string): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        await this.#options.clock.sleep(manifestPollMs, this.#stop.signal)
        await this.#readManifests(folder)
      } catch (error) {
        if (!this.#stop.signal.aborted) this.#options.log.warn(`static pods: ${messageOf(error)}`)
      }
    }
  }

  async #readManifests(folder: string): Promise<void> {
    const { pods, problems } = await readStaticPods(folder, this.#options.nodeName)
    for (const [name, problem] of problems) {
      if (this.#problems.get(name) !== problem) this.#options.log.error(`static pod ${join(folder, name)}: ${problem}`)
    }
    this.#problems = problems
    const all = new Set([...pods.keys(), ...this.#fromFiles.keys()])
    const changed = [...all].filter((uid) => pods.has(uid) !== this.#fromFiles.has(uid))
    this.#fromFiles = pods
    for (const uid of changed) this.#options.onChange(uid)
  }
}
