import type { ErrorRecord } from '../runtime/base/errors.ts'
import type { LayerReport } from './apply-layer.ts'
import type { Have } from './packed-file.ts'
import type { InheritStep, UnpackJob } from './unpack-job.ts'

/**
 *   this thread                        worker
 *   work: one layer              ──▶   unpacks
 *   grown, while it downloads    ──▶   reads on, and knows the end when it is whole
 *                                ◀──   unpacking: bytes      now and then
 *                                ◀──   unpacked: report      (or failed: error)
 *   stop, meanwhile              ──▶   closes its files
 *                                ◀──   failed: error
 *   work: folders of all layers  ──▶   completes them
 *                                ◀──   inherited             (or failed: error)
 *   end                          ──▶   ends
 *
 * One piece of work at a time, and one answer to each, which is not `unpacking`.
 */
export type Work = { kind: 'unpack'; job: UnpackJob } | { kind: 'inherit'; steps: readonly InheritStep[] }

/** `bytes`: so much of the packed layer has been read. */
export type WorkNews = { kind: 'unpacking'; bytes: number }

export type WorkAnswer =
  | { kind: 'unpacked'; report: LayerReport }
  | { kind: 'inherited' }
  | { kind: 'failed'; error: ErrorRecord }

export type FromWorker = WorkNews | WorkAnswer

export type ToWorker = { kind: 'work'; work: Work } | { kind: 'grown'; have: Have } | { kind: 'stop' } | { kind: 'end' }
