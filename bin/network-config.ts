import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { CoracleError, errnoOf } from '../runtime/base/errors.ts'
import type { DataDir } from './data-dir.ts'

/** The pod network's CNI configuration; undefined when none was written yet. */
export async function readNetworkConfig(directory: DataDir): Promise<unknown> {
  try {
    return JSON.parse(await readFile(directory.networkConfig, 'utf8'))
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

const defaultPodCidr = '10.244.0.0/24'

/**
 * Written once with our own plugins, and from then on the user's to change. Throws `BAD_FLAG` when `podCidr` is none, or
 * when it is not what the file that is there says: nothing would come of it.
 */
export async function networkConfig(directory: DataDir, podCidr: string | undefined): Promise<unknown> {
  const subnet = podCidr ?? defaultPodCidr
  const [address = '', length] = subnet.split('/')
  if (isIP(address) === 0 || !/^\d+$/.test(length ?? '') || Number(length) > (isIP(address) === 4 ? 30 : 126)) {
    throw new CoracleError(`--pod-cidr ${subnet}: not a range of addresses such as ${defaultPodCidr}`, {
      code: 'BAD_FLAG',
    })
  }
  const written = await readNetworkConfig(directory)
  if (written !== undefined) {
    if (podCidr === undefined || podCidr === podCidrOf(written)) return written
    throw new CoracleError(`--pod-cidr ${podCidr}: ${directory.networkConfig} says otherwise`, {
      code: 'BAD_FLAG',
      hint: "after 'coracle down', change or remove that file",
    })
  }
  const ipam = { type: 'host-local', ranges: [[{ subnet }]], routes: [{ dst: '0.0.0.0/0' }] }
  const bridge = { type: 'bridge', bridge: 'cor0', isGateway: true, ipMasq: true, hairpinMode: true, ipam }
  const conflist = { cniVersion: '1.1.0', name: 'coracle', plugins: [bridge, { type: 'loopback' }] }
  await mkdir(directory.network, { recursive: true })
  await writeFile(directory.networkConfig, `${JSON.stringify(conflist, undefined, 2)}\n`)
  return conflist
}

/** The addresses that a configuration gives to pods: its first `subnet`. */
export function podCidrOf(conflist: unknown): string {
  return /"subnet":"([^"]+)"/.exec(JSON.stringify(conflist))?.[1] ?? defaultPodCidr
}
