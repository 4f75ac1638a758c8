import type { Pod, Volume } from '../../orchestrator/api/types.ts'
import type { NodeFacts } from '../downward.ts'
import type { ConfigReader } from '../environment.ts'

export interface VolumeInput {
  root: string
  pod: Pod
  reader: ConfigReader
  node: NodeFacts
}

/** Kinds of volumes that `setUpVolumes` knows, as the fields of `Volume` are called. */
export const volumeKinds = ['emptyDir', 'hostPath', 'configMap', 'secret', 'downwardAPI', 'projected'] as const
export type VolumeKind = (typeof volumeKinds)[number]

/** Which kind a volume is; undefined for one that this node does not support. */
export function kindOf(volume: Volume): VolumeKind | undefined {
  return volumeKinds.find((kind) => volume[kind] !== undefined)
}
