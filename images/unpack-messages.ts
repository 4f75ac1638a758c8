import type { ErrorRecord } from '../runtime/base/errors.ts'
import type { LayerReport } from './apply-layer.ts'

/**
 * A thread for each layer, so that unpacking never holds up this one.
 *
 *   this thread                        worker
 *   workerData: UnpackJob        ──▶   unpacks
 *                                ◀──   unpacked: report      (or failed: error)
 *   inherit: folders, lower      ──▶   completes folders, once all layers below are there
 *                                ◀──   inherited             (or failed: error), and ends
 *   stop, at any time            ──▶   closes its files and ends
 */
export type FromWorker =
  | { kind: 'unpacked'; report: LayerReport }
  | { kind: 'inherited' }
  | { kind: 'failed'; error: ErrorRecord }

/** `lower`: paths of the layers below, the topmost first. `folders`: those that the layer does not name itself. */
export type ToWorker = { kind: 'inherit'; folders: readonly Uint8Array[]; lower: readonly string[] } | { kind: 'stop' }
