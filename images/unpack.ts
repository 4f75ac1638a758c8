import { Worker } from 'node:worker_threads'
import { fromRecord } from '../runtime/base/errors.ts'
import type { LayerReport } from './apply-layer.ts'
import { imageError } from './errors.ts'
import type { UnpackJob } from './unpack-job.ts'
import type { FromWorker, ToWorker } from './unpack-messages.ts'

/** A layer that is being unpacked. `stop` must be awaited in every case before the folder is moved or removed. */
export interface Unpacking {
  unpacked: Promise<LayerReport>
  /** Gives folders that the layer does not name the looks of those below; only after `unpacked`. */
  inherit(lower: readonly string[]): Promise<void>
  stop(): Promise<void>
}

/** Begins to unpack. Errors are those of `unpackLayer`. */
export function startUnpacking(job: UnpackJob): Unpacking {
  // Descriptors of the worker are its own calls of open(2), which Node knows nothing of; it closes them itself.
  const worker = new Worker(new URL('./unpack-worker.ts', import.meta.url), {
    workerData: job,
    trackUnmanagedFds: false,
  })
  const unpacked = Promise.withResolvers<LayerReport>()
  const inherited = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const fail = (error: unknown) => {
    unpacked.reject(error)
    inherited.reject(error)
  }
  // Whoever waits for the first sees the error; nobody may be waiting for the second yet.
  unpacked.promise.catch(() => {})
  inherited.promise.catch(() => {})
  worker.on('message', (message: FromWorker) => {
    if (message.kind === 'unpacked') unpacked.resolve(message.report)
    else if (message.kind === 'inherited') inherited.resolve()
    else fail(fromRecord(message.error))
  })
  worker.on('error', fail)
  worker.on('exit', (code) => {
    fail(imageError('IMAGE_LAYER_INVALID', `unpack layer ${job.diffId}: its thread ended (${code})`))
    ended.resolve()
  })
  const say = (message: ToWorker) => worker.postMessage(message)
  return {
    unpacked: unpacked.promise,
    async inherit(lower) {
      say({ kind: 'inherit', folders: (await unpacked.promise).implicitFolders, lower })
      await inherited.promise
    },
    stop() {
      say({ kind: 'stop' })
      return ended.promise
    },
  }
}
