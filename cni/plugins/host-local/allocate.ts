import { type Address, formatAddress, formatCidr, plus, sameAddress } from '../../address.ts'
import { cniError } from '../../errors.ts'
import type { CniAddress } from '../../result.ts'
import { inRange, type Range } from './ranges.ts'
import type { AddressStore, Owner } from './store.ts'

/** More tries than this would mean reading a full IPv6 network from end to end. */
const maximumTries = 1 << 20

/**
 * Takes one address from each set, round robin after the last one given out, so that an address is reused as late as
 * possible. Each requested address replaces the choice in the set that has it. On failure nothing stays taken.
 * Throws `CNI_ADDRESSES_EXHAUSTED`, `CNI_INVALID_CONFIG`.
 */
export function allocate(
  store: AddressStore,
  owner: Owner,
  o: { sets: readonly (readonly Range[])[]; requested: readonly Address[] },
): CniAddress[] {
  const had = store.addressesOf(owner)
  if (had.length > 0) {
    const list = had.map(formatAddress).join(', ')
    throw cniError('CNI_INVALID_ENVIRONMENT', `allot address: ${owner.containerId} ${owner.ifname} already has ${list}`)
  }
  const strayed = o.requested.find((address) => !o.sets.flat().some((range) => inRange(range, address)))
  if (strayed) throw cniError('CNI_INVALID_CONFIG', `allot address ${formatAddress(strayed)}: it is in no range`)
  try {
    return o.sets.map((set, at) => {
      const wanted = o.requested.find((address) => set.some((range) => inRange(range, address)))
      return wanted ? takeRequested(store, owner, { set, wanted }) : takeNext(store, owner, { set, at })
    })
  } catch (error) {
    store.release(owner)
    throw error
  }
}

function takeRequested(store: AddressStore, owner: Owner, o: { set: readonly Range[]; wanted: Address }): CniAddress {
  const range = o.set.find((one) => inRange(one, o.wanted))
  const text = formatAddress(o.wanted)
  if (!range || sameAddress(range.gateway, o.wanted)) {
    throw cniError('CNI_INVALID_CONFIG', `allot address ${text}: it is the gateway's`)
  }
  if (!store.reserve(o.wanted, owner)) throw cniError('CNI_ADDRESSES_EXHAUSTED', `allot address ${text}: it is taken`)
  return described(range, o.wanted)
}

function takeNext(store: AddressStore, owner: Owner, o: { set: readonly Range[]; at: number }): CniAddress {
  let tries = 0
  for (const { range, address } of candidates(o.set, store.lastReserved(o.at))) {
    if (++tries > maximumTries) break
    if (sameAddress(address, range.gateway) || !store.reserve(address, owner)) continue
    store.setLastReserved(o.at, address)
    return described(range, address)
  }
  const names = o.set.map(({ subnet }) => formatCidr(subnet)).join(', ')
  throw cniError('CNI_ADDRESSES_EXHAUSTED', `allot address: none is free in ${names}`, {
    hint: 'containers that are gone may still hold addresses: run GC for this network, or widen its range',
  })
}

/** Every address of the set once, beginning after `last`. */
function* candidates(set: readonly Range[], last: Address | undefined) {
  const found = last ? set.findIndex((range) => inRange(range, last)) : -1
  const first = Math.max(found, 0)
  const ordered = [...set.slice(first), ...set.slice(0, first)]
  const head = ordered[0]
  if (!head) return
  const begin = last && found >= 0 ? plus(last, 1n) : head.start
  yield* walk(head, begin, head.end)
  for (const range of ordered.slice(1)) yield* walk(range, range.start, range.end)
  yield* walk(head, head.start, plus(begin, -1n))
}

function* walk(range: Range, from: Address, to: Address) {
  for (let address = from; address.value <= to.value; address = plus(address, 1n)) yield { range, address }
}

function described(range: Range, address: Address): CniAddress {
  return { address: formatCidr({ ...address, prefix: range.subnet.prefix }), gateway: formatAddress(range.gateway) }
}
