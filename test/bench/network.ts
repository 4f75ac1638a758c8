/** CNI ADD: ours in this process, beside the distribution's plugins behind the exec protocol, in the same namespaces by turns. */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Network, openNetwork } from '../../cni/index.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { type Holder, holdNetwork, leaveForOwnNetwork } from '../system/cni/own-network.ts'
import { type Bench, type BenchRow, rowOf, sampleOf } from './rows.ts'

const debianPlugins = '/usr/lib/cni'
const adds = 30

export const bench: Bench = { name: 'network', run }

async function run(): Promise<BenchRow[]> {
  leaveForOwnNetwork()
  const folder = mkdtempSync(join(tmpdir(), 'coracle-bench-'))
  try {
    const ours = await openBench(folder, { name: 'ours', bridge: 'corbr0', subnet: '10.231.7.0/24' })
    const theirs = existsSync(debianPlugins)
      ? await openBench(folder, { name: 'theirs', bridge: 'corbr1', subnet: '10.231.8.0/24', programs: debianPlugins })
      : undefined
    const times: Record<'ours' | 'theirs', number[]> = { ours: [], theirs: [] }
    for (let at = 0; at < adds; at++) {
      const holder = await holdNetwork()
      times.ours.push(await addAndDelete(ours, holder, `o${at}`))
      if (theirs) times.theirs.push(await addAndDelete(theirs, holder, `t${at}`))
      await holder.close()
    }
    await ours.teardown()
    await theirs?.teardown()
    const peers = theirs ? { 'containernetworking-plugins': sampleOf(times.theirs) } : {}
    return [rowOf({ name: 'CNI ADD: bridge and host-local', unit: 'ms', ours: sampleOf(times.ours), peers, goal: 5 })]
  } finally {
    rmSync(folder, { recursive: true })
  }
}

interface Variant {
  readonly name: string
  readonly bridge: string
  readonly subnet: string
  /** Folder of the programs; built in when left out. */
  readonly programs?: string
}

function openBench(folder: string, { name, bridge, subnet, programs }: Variant): Promise<Network> {
  const ipam = { type: 'host-local', dataDir: join(folder, name, 'ipam'), ranges: [[{ subnet }]] }
  return openNetwork({
    conflist: {
      cniVersion: '1.0.0',
      name,
      plugins: [{ type: 'bridge', bridge, isDefaultGateway: true, ipMasq: !programs, ipam }],
    },
    stateDir: join(folder, name, 'state'),
    pluginDirs: programs ? [programs] : [],
    log: silentLog,
    ...(programs ? { builtins: new Map() } : {}),
  })
}

async function addAndDelete(network: Network, { netns }: Holder, containerId: string): Promise<number> {
  const attachment = { containerId, netns, ifname: 'eth0' }
  const begun = performance.now()
  await network.add(attachment)
  const spent = performance.now() - begun
  await network.del(attachment)
  return spent
}
