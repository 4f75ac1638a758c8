/** Network namespaces for a cluster: each member has one way to its clients and another to the other members. */
import { execFileSync } from 'node:child_process'

const ip = (...args: string[]) => execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' })

/** `cut` ways are links that are down: packets are lost, and nobody is told. */
export class ClusterNetwork {
  readonly #names: readonly string[]
  readonly #switch: string
  readonly #members: number

  /** Nothing of it is in the machine's own namespace. The last place, number `members`, is the client's. */
  constructor(members: number) {
    const own = `cs${process.pid}`
    this.#members = members
    this.#switch = `${own}sw`
    this.#names = Array.from({ length: members + 1 }, (_, at) => `${own}n${at}`)
    try {
      this.#build()
    } catch (error) {
      this[Symbol.dispose]()
      throw error
    }
  }

  get hosts(): { client: string; peer: string; enter: string[] }[] {
    return Array.from({ length: this.#members }, (_, at) => ({
      client: `10.201.1.${at + 1}`,
      peer: `10.201.2.${at + 1}`,
      enter: this.enter(at),
    }))
  }

  /** What to put before a command, so that it runs in a place. */
  enter(at = this.#members): string[] {
    return ['nsenter', `--net=/run/netns/${this.#name(at)}`]
  }

  /** Cuts or mends the way of a member to its clients (1) or to the other members (2). */
  set(at: number, way: 1 | 2, state: 'up' | 'down'): void {
    ip('-n', this.#switch, 'link', 'set', `p${at}w${way}`, state)
  }

  [Symbol.dispose](): void {
    for (const name of [...this.#names, this.#switch]) {
      try {
        ip('netns', 'del', name)
      } catch {
        // It was not made yet.
      }
    }
  }

  #build(): void {
    ip('netns', 'add', this.#switch)
    for (const way of [1, 2]) {
      ip('-n', this.#switch, 'link', 'add', `br${way}`, 'type', 'bridge')
      ip('-n', this.#switch, 'link', 'set', `br${way}`, 'up')
    }
    this.#names.forEach((name, at) => {
      ip('netns', 'add', name)
      ip('-n', name, 'link', 'set', 'lo', 'up')
      for (const way of [1, 2]) this.#plug(name, at, way)
    })
  }

  #plug(name: string, at: number, way: number): void {
    const port = `p${at}w${way}`
    ip('-n', this.#switch, 'link', 'add', port, 'type', 'veth', 'peer', 'name', `eth${way}`, 'netns', name)
    ip('-n', this.#switch, 'link', 'set', port, 'master', `br${way}`, 'up')
    ip('-n', name, 'addr', 'add', `10.201.${way}.${at + 1}/24`, 'dev', `eth${way}`)
    ip('-n', name, 'link', 'set', `eth${way}`, 'up')
  }

  #name(at: number): string {
    const name = this.#names[at]
    if (name === undefined) throw new Error(`find place ${at} of the network: there are ${this.#names.length}`)
    return name
  }
}
