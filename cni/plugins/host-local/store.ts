import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { errnoOf } from '../../../runtime/base/errors.ts'
import { lockFile } from '../../../runtime/linux/flock.ts'
import { type Address, formatAddress, parseAddress } from '../../address.ts'

/**
 * Given-out addresses as files, the way the reference plugin keeps them, so that either can go on from the other:
 * `<dataDir>/<network>/<address>` holds `<container id>\r\n<interface>`, `last_reserved_ip.<set>` the last one given
 * out, and `lock` is held (flock) during every operation. A file appears whole or not at all: it is written under a
 * temporary name and linked. Source: containernetworking/plugins, plugins/ipam/host-local.
 */
export interface AddressStore {
  /** Takes `address` for `owner`; false if somebody has it. */
  reserve(address: Address, owner: Owner): boolean
  lastReserved(set: number): Address | undefined
  setLastReserved(set: number, address: Address): void
  /** Addresses of that owner. */
  addressesOf(owner: Owner): Address[]
  release(owner: Owner): void
  /** Frees every address whose owner is not in the list; files without an owner are left-overs of a crash. */
  keepOnly(owners: readonly Owner[]): void
}

export interface Owner {
  containerId: string
  ifname: string
}

const lockName = 'lock'
const lastPrefix = 'last_reserved_ip.'
const temporary = '.reserving'

/** Runs `act`, which is synchronous, while holding the lock of the network's folder. */
export async function withStore<Result>(directory: string, act: (store: AddressStore) => Result): Promise<Result> {
  mkdirSync(directory, { recursive: true, mode: 0o755 })
  const lock = openSync(join(directory, lockName), 'a', 0o600)
  try {
    await lockFile(lock, 'exclusive')
    return act(storeIn(directory))
  } finally {
    closeSync(lock)
  }
}

/** Removes the folder of a network and all that it says. */
export function removeStore(directory: string): void {
  rmSync(directory, { recursive: true, force: true })
}

const textOf = ({ containerId, ifname }: Owner) => `${containerId}\r\n${ifname}`

function storeIn(directory: string): AddressStore {
  const file = (name: string) => join(directory, name)
  const entries = () =>
    readdirSync(directory)
      .filter((name) => isIP(name) !== 0)
      .map((name) => ({ name, text: readFileSync(file(name), 'utf8').trim() }))
  // Before the interface's name was written, a file held the container's id alone.
  const belongs = (text: string, owner: Owner) => text === textOf(owner) || text === owner.containerId
  const owned = (owner: Owner) => entries().filter(({ text }) => belongs(text, owner))
  return {
    reserve(address, owner) {
      // Under the lock nobody else uses this name; what lies there is from a crash.
      writeFileSync(file(temporary), textOf(owner), { mode: 0o600 })
      try {
        linkSync(file(temporary), file(formatAddress(address)))
        return true
      } catch (error) {
        if (errnoOf(error) === 'EEXIST') return false
        throw error
      } finally {
        unlinkSync(file(temporary))
      }
    },
    lastReserved(set) {
      try {
        const text = readFileSync(file(`${lastPrefix}${set}`), 'utf8').trim()
        return isIP(text) ? parseAddress(text) : undefined
      } catch (error) {
        if (errnoOf(error) === 'ENOENT') return undefined
        throw error
      }
    },
    setLastReserved(set, address) {
      writeFileSync(file(temporary), formatAddress(address), { mode: 0o600 })
      renameSync(file(temporary), file(`${lastPrefix}${set}`))
    },
    addressesOf: (owner) => owned(owner).map(({ name }) => parseAddress(name)),
    release(owner) {
      for (const { name } of owned(owner)) unlinkSync(file(name))
    },
    keepOnly(owners) {
      for (const { name, text } of entries()) {
        if (!owners.some((owner) => belongs(text, owner))) unlinkSync(file(name))
      }
    },
  }
}
