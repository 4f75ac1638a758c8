/** The store's thread: opens the log, then answers one request after the other. */
import { parentPort, workerData } from 'node:worker_threads'
import { toRecord } from '../../../runtime/base/errors.ts'
import { never } from '../../../runtime/base/never.ts'
import { RevisionLog } from './log.ts'
import type { Answer, Request } from './protocol.ts'

function answerTo(log: RevisionLog, request: Request): unknown {
  switch (request.type) {
    case 'write':
      return log.write(request.writes)
    case 'range':
      return log.range(request.prefix, request.options)
    case 'changes':
      return log.changes(request.prefix, request.after, request.upTo)
    case 'compact':
      return log.compact(request.revision)
    case 'lapsed':
      return log.lapsed(request.now)
    case 'check':
      return log.check()
    case 'close':
      return log.close()
    default:
      return never(request, 'answer a request to the store')
  }
}

function answer(id: number, act: () => unknown): void {
  let message: Answer
  try {
    message = { id, value: act() }
  } catch (error) {
    message = { id, error: toRecord(error) }
  }
  parentPort?.postMessage(message)
}

answer(0, () => {
  const log = new RevisionLog((workerData as { path: string }).path)
  parentPort?.on('message', (request: Request) => {
    answer(request.id, () => answerTo(log, request))
    if (request.type === 'close') parentPort?.close()
  })
  return log.revision
})
