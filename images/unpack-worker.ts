import { parentPort } from 'node:worker_threads'
import { toRecord } from '../runtime/base/errors.ts'
import { PackedFile } from './packed-file.ts'
import { inheritFolders, unpackLayer } from './unpack-job.ts'
import type { FromWorker, ToWorker, Work } from './unpack-messages.ts'

// Entry point of a worker thread; the messages are drawn in unpack-messages.ts.
let stop = new AbortController()
let file: PackedFile | undefined
const say = (message: FromWorker) => parentPort?.postMessage(message)

parentPort?.on('message', (message: ToWorker) => {
  if (message.kind === 'work') void perform(message.work)
  else if (message.kind === 'grown') file?.grown(message.have)
  else if (message.kind === 'stop') {
    const reason = new Error('unpacking was stopped')
    stop.abort(reason)
    file?.fail(reason)
  }
  // With its port closed, the thread ends when nothing is left to do.
  else parentPort?.close()
})

async function perform(work: Work): Promise<void> {
  stop = new AbortController()
  try {
    if (work.kind === 'unpack') {
      const onProgress = (bytes: number) => say({ kind: 'unpacking', bytes })
      file = new PackedFile(work.job.blob, work.job.have)
      say({ kind: 'unpacked', report: await unpackLayer(file, work.job, { signal: stop.signal, onProgress }) })
    } else {
      for (const step of work.steps) inheritFolders(step)
      say({ kind: 'inherited' })
    }
  } catch (error) {
    say({ kind: 'failed', error: toRecord(error) })
  } finally {
    file = undefined
  }
}
