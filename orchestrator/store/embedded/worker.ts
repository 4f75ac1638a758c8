/** The store's thread: opens the log, then answers one request after the other. */
import { parentPort, workerData } from 'node:worker_threads'
import { toRecord } from '../../../runtime/base/errors.ts'
import { never } from '../../../runtime/base/never.ts'
import { RevisionLog } from './log.ts'
import type { Answer, Request } from './protocol.ts'

const log = new RevisionLog((workerData as { path: string }).path)

function answerTo(request: Request): unknown {
  switch (request.type) {
    case 'write':
      return log.write(request.writes)
    case 'range':
      return log.range(request.prefix, request.options)
    case 'changes':
      return log.changes(request.prefix, request.after, request.upTo)
    case 'compact':
      return log.compact(request.revision)
    case 'check':
      return log.check()
    case 'close':
      return log.close()
    default:
      return never(request, 'answer a request to the store')
  }
}

parentPort?.on('message', (request: Request) => {
  let answer: Answer
  try {
    answer = { id: request.id, value: answerTo(request) }
  } catch (error) {
    answer = { id: request.id, error: toRecord(error) }
  }
  parentPort?.postMessage(answer)
  if (request.type === 'close') parentPort?.close()
})
parentPort?.postMessage({ id: 0, value: log.revision } satisfies Answer)
