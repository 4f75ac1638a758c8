import { parentPort, workerData } from 'node:worker_threads'
import { toRecord } from '../runtime/base/errors.ts'
import { inheritFolders, type UnpackJob, unpackLayer } from './unpack-job.ts'
import type { FromWorker, ToWorker } from './unpack-messages.ts'

// Entry point of a worker thread; the messages are drawn in unpack-messages.ts.
const job = workerData as UnpackJob
const stop = new AbortController()
const say = (message: FromWorker) => parentPort?.postMessage(message)
/** With its port closed, the thread ends when nothing is left to do. */
const leave = () => parentPort?.close()

parentPort?.on('message', (message: ToWorker) => {
  if (message.kind === 'stop') stop.abort(new Error('unpacking was stopped'))
  else inherit(message)
  leave()
})

function inherit({ folders, lower }: Extract<ToWorker, { kind: 'inherit' }>): void {
  try {
    inheritFolders(job.directory, { folders, lower })
    say({ kind: 'inherited' })
  } catch (error) {
    say({ kind: 'failed', error: toRecord(error) })
  }
}

try {
  say({ kind: 'unpacked', report: await unpackLayer(job, stop.signal) })
} catch (error) {
  say({ kind: 'failed', error: toRecord(error) })
  leave()
}
