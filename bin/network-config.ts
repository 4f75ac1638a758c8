import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { errnoOf } from '../runtime/base/errors.ts'
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

/** Written once with our own plugins, and from then on the user's to change. */
export async function networkConfig(directory: DataDir, podCidr: string): Promise<unknown> {
  const written = await readNetworkConfig(directory)
  if (written !== undefined) return written
  const ipam = { type: 'host-local', ranges: [[{ subnet: podCidr }]], routes: [{ dst: '0.0.0.0/0' }] }
  const bridge = { type: 'bridge', bridge: 'cor0', isGateway: true, ipMasq: true, hairpinMode: true, ipam }
  const conflist = { cniVersion: '1.1.0', name: 'coracle', plugins: [bridge, { type: 'loopback' }] }
  await mkdir(directory.network, { recursive: true })
  await writeFile(directory.networkConfig, `${JSON.stringify(conflist, undefined, 2)}\n`)
  return conflist
}
