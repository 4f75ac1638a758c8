/** One request from its bytes to its answer: who, what, may they, do it. */

import { messageOf } from '../../runtime/base/errors.ts'
import { badRequest, StatusError, toStatus } from '../api/status.ts'
import { allowedUser } from './allowed-user.ts'
import { type Answer, failureAnswer, type StreamedAnswer } from './answer.ts'
import type { RequestAudit } from './audit.ts'
import type { Caller } from './authenticator.ts'
import { handleConnection } from './connect-handler.ts'
import { headerOf, type Incoming } from './incoming.ts'
import { answerIssuer } from './issuer-discovery.ts'
import { answerOpenApi } from './openapi/serve.ts'
import { answerPath } from './paths.ts'
import type { Registry } from './registry.ts'
import { type RequestInfo, requestInfoOf } from './request-info.ts'
import { handleResource } from './resource-handler.ts'
import type { Page, Serving } from './serving.ts'
import { handleUnstored } from './unstored/serve.ts'

/** Before it is known whether he may. */
export type Unauthorized = Omit<Incoming, 'user'> & { user: Caller }

/** The answer to any request. Never throws: what goes wrong is a Status. `info` is what method, path and query mean. */
export async function handle(
  serving: Serving,
  incoming: Unauthorized,
  info: RequestInfo = requestInfoOf(incoming.method, incoming.path, incoming.query),
): Promise<Answer | StreamedAnswer> {
  const record = serving.audit?.begin(incoming)
  record?.means(info)
  const answer = await answerTo(serving, incoming, { info, record })
  return record ? record.answered(answer) : answer
}

async function answerTo(
  serving: Serving,
  incoming: Unauthorized,
  { info, record }: { info: RequestInfo; record: RequestAudit | undefined },
): Promise<Answer | StreamedAnswer> {
  try {
    const { user: caller, path, query, wire } = incoming
    const asked = { user: caller, path, query, rawHeaders: wire?.rawHeaders ?? [] }
    const user = allowedUser(serving, asked, { info, record })
    const known: Incoming = { ...incoming, user, ...(record ? { notes: record } : {}) }
    if (info.type === 'resource') {
      const connected = handleConnection(serving.registry, serving.access, { incoming: known, info })
      return (
        connected ?? (await (handleUnstored(serving, known, info) ?? handleResource(serving.registry, known, info)))
      )
    }
    return await answerOther(serving, known)
  } catch (error) {
    // Whoever nests an object ten thousand levels deep runs us out of stack: his request, not our fault.
    const isTooDeep = error instanceof RangeError && error.message.startsWith('Maximum call stack')
    const status = isTooDeep ? badRequest('the request is nested too deeply').status : toStatus(error)
    record?.failed(status)
    if (!isTooDeep && !(error instanceof StatusError)) {
      serving.log.error('a request failed', {
        method: incoming.method,
        path: incoming.path,
        error: messageOf(error),
        stack: (error as Error).stack,
      })
    }
    return failureAnswer(status, incoming)
  }
}

const notFoundPage: Answer = { status: 404, contentType: 'text/plain; charset=utf-8', body: '404 page not found\n' }
const wrongMethod: Answer = { status: 405, contentType: 'text/plain; charset=utf-8', body: 'Method Not Allowed\n' }

async function answerOther({ registry, checks, pages }: Serving, incoming: Incoming): Promise<Answer> {
  const { path, method, query } = incoming
  const accept = headerOf(incoming, 'accept')
  const ifNoneMatch = headerOf(incoming, 'if-none-match')
  const answer =
    (await answerOpenApi(registry.kinds, { path, accept, ifNoneMatch })) ??
    (await answerIssuer(path, registry.tokens?.authority)) ??
    answerPath(path, { kinds: registry.kinds, checks, accept, ifNoneMatch, query }) ??
    (await answerMetrics(path, registry)) ??
    answerPage(path, pages)
  if (!answer) return notFoundPage
  return method === 'GET' || method === 'HEAD' ? answer : wrongMethod
}

async function answerMetrics(path: string, { metrics }: Registry): Promise<Answer | undefined> {
  return path === '/metrics' ? { status: 200, ...(await metrics.text()) } : undefined
}

function answerPage(path: string, pages: ReadonlyMap<string, Page>): Answer | undefined {
  const [beginning, page] = [...pages].find(([each]) => path.startsWith(each)) ?? []
  const value = beginning === undefined ? undefined : page?.(decodeURIComponent(path.slice(beginning.length)))
  if (value === undefined) return undefined
  return { status: 200, contentType: 'application/json', body: `${JSON.stringify(value, undefined, 2)}\n` }
}
