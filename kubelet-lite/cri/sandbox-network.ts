import { readFileSync } from 'node:fs'
import { mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Network } from '../../cni/index.ts'
import { podDirectory } from '../pod-directory.ts'
import type { SandboxConfig } from './types.ts'

const ifname = 'eth0'

/** The sandboxes' CNI attachments. The addresses of each are kept in the pod's directory: `network.json`. */
export class SandboxNetwork {
  readonly #network: Network
  readonly #root: string
  readonly #ips = new Map<string, readonly string[]>()

  constructor(network: Network, root: string) {
    this.#network = network
    this.#root = root
  }

  /** Adds the sandbox whose process is `pid` to the network. Returns its addresses, without prefix length. */
  async add(config: SandboxConfig, id: string, pid: number): Promise<readonly string[]> {
    const portMappings = config.portMappings.map((port) => ({ ...port }))
    const result = await this.#network.add({
      containerId: id,
      netns: `/proc/${pid}/ns/net`,
      ifname,
      args: {
        IgnoreUnknown: '1',
        K8S_POD_NAMESPACE: config.namespace,
        K8S_POD_NAME: config.name,
        K8S_POD_INFRA_CONTAINER_ID: id,
        K8S_POD_UID: config.podUid,
      },
      ...(portMappings.length === 0 ? {} : { capabilities: { portMappings } }),
    })
    const ips = (result.ips ?? []).map(({ address }) => address.split('/')[0] ?? '')
    await this.#save(config.podUid, { id, ips })
    this.#ips.set(id, ips)
    return ips
  }

  /** Idempotent, also when the namespace is gone. */
  async remove(podUid: string, id: string, pid: number | undefined): Promise<void> {
    await this.#network.del({ containerId: id, netns: pid === undefined ? '' : `/proc/${pid}/ns/net`, ifname })
    if (this.ips(podUid, id).length > 0) await rm(this.#file(podUid), { force: true })
    this.#ips.delete(id)
  }

  /** Empty when the sandbox was never added, or is gone. */
  ips(podUid: string, id: string): readonly string[] {
    const known = this.#ips.get(id)
    if (known) return known
    const saved = this.#load(podUid)
    if (saved?.id !== id) return []
    this.#ips.set(id, saved.ips)
    return saved.ips
  }

  /** Gives back what sandboxes hold that are no more. */
  async forgetAllBut(ids: readonly string[]): Promise<void> {
    await this.#network.gc(ids.map((containerId) => ({ containerId, ifname })))
  }

  #file(podUid: string): string {
    return join(podDirectory(this.#root, podUid), 'network.json')
  }

  async #save(podUid: string, saved: { id: string; ips: readonly string[] }): Promise<void> {
    await mkdir(podDirectory(this.#root, podUid), { recursive: true, mode: 0o755 })
    await writeFile(`${this.#file(podUid)}.tmp`, JSON.stringify(saved))
    await rename(`${this.#file(podUid)}.tmp`, this.#file(podUid))
  }

  #load(podUid: string): { id: string; ips: readonly string[] } | undefined {
    try {
      return JSON.parse(readFileSync(this.#file(podUid), 'utf8')) as { id: string; ips: readonly string[] }
    } catch {
      return undefined
    }
  }
}
