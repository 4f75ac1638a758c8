import { CoracleError, hasCode, messageOf } from '../../../runtime/base/errors.ts'
import { type Nftables, openNftables } from '../../../runtime/linux/nftables.ts'
import { type Cidr, formatCidr } from '../../address.ts'
import { cniError } from '../../errors.ts'

/** One table for each network, so that teardown is one command. */
export const tableOf = (network: string) => `inet coracle-${network}`

let opened: Nftables | undefined

/** Opened once: the library reads several files of /etc each time. */
function nftables(): Nftables {
  try {
    opened ??= openNftables()
    return opened
  } catch (error) {
    if (!(error instanceof CoracleError)) throw error
    const hint = error.hint ?? ''
    throw cniError('CNI_NOT_AVAILABLE', `masquerade: ${error.message}`, { cause: error, ...(hint ? { hint } : {}) })
  }
}

/** Throws `CNI_NOT_AVAILABLE` when this host cannot masquerade. */
export function requireMasquerade(): void {
  nftables()
}

/**
 * What leaves the containers' networks for other places gets the host's address; `local` are destinations that see the
 * containers' own. Idempotent, and one transaction: traffic never meets half a table.
 */
export function masquerade(network: string, o: { sources: readonly Cidr[]; local: readonly Cidr[] }): void {
  const table = tableOf(network)
  const commands = [
    `add table ${table}`,
    `add chain ${table} postrouting { type nat hook postrouting priority srcnat; }`,
    `flush chain ${table} postrouting`,
    ...familyCommands(table, '4', o),
    ...familyCommands(table, '6', o),
  ]
  try {
    nftables().run(commands.join('\n'))
  } catch (error) {
    if (!hasCode(error, 'NFTABLES')) throw error
    throw cniError('CNI_IO', `masquerade network ${network}: ${messageOf(error)}`, { cause: error })
  }
}

const words = {
  '4': { ip: 'ip', type: 'ipv4_addr', multicast: '224.0.0.0/4' },
  '6': { ip: 'ip6', type: 'ipv6_addr', multicast: 'ff00::/8' },
} as const

function familyCommands(
  table: string,
  family: '4' | '6',
  o: { sources: readonly Cidr[]; local: readonly Cidr[] },
): string[] {
  const { ip, type, multicast } = words[family]
  const elements = (set: string, networks: readonly Cidr[]) => {
    const list = networks.filter((network) => String(network.family) === family).map(formatCidr)
    return list.length === 0 ? [] : [`add element ${table} ${set} { ${list.join(', ')} }`]
  }
  return [
    `add set ${table} sources${family} { type ${type}; flags interval; auto-merge; }`,
    `add set ${table} local${family} { type ${type}; flags interval; auto-merge; }`,
    `add rule ${table} postrouting ${ip} saddr @sources${family} ${ip} daddr != @local${family} ${ip} daddr != ${multicast} masquerade`,
    ...elements(`sources${family}`, o.sources),
    ...elements(`local${family}`, [...o.sources, ...o.local]),
  ]
}

/** Removes the network's table, if it is there. */
export function removeMasquerade(network: string): void {
  // `add` makes the `delete` after it succeed whether the table was there or not.
  nftables().run(`add table ${tableOf(network)}\ndelete table ${tableOf(network)}`)
}
