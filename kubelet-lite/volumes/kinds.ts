import type { Pod, Volume } from '../../orchestrator/api/types.ts'
import type { NodeFacts } from '../downward.ts'
import type { ConfigReader } from '../environment.ts'
import type { AccountTokens } from './account-tokens.ts'

export interface VolumeInput {
  root: string
  pod: Pod
  reader: ConfigReader
  node: NodeFacts
  tokens: AccountTokens
}

/** Kinds of volumes that `setUpVolumes` knows, as the fields of `Volume` are called. */
export const volumeKinds = ['emptyDir', 'hostPath', 'configMap', 'secret', 'downwardAPI', 'projected'] as const
export type VolumeKind = (typeof volumeKinds)[number]

/** True for volumes whose files are written by the kubelet, from objects of the API, and change when those do. */
export function showsObjects(volume: Volume): boolean {
  const kind = kindOf(volume)
  return kind === 'configMap' || kind === 'secret' || kind === 'downwardAPI' || kind === 'projected'
}

/** Which kind a volume is; undefined for one that this node does not support. */
export function kindOf(volume: Volume): VolumeKind | undefined {
  return volumeKinds.find((kind) => volume[kind] !== undefined)
}
