/**
 * Who did what, when, and what became of it: audit.k8s.io/v1 Events at the level Metadata, so never a body, and never
 * a header that carries a credential. What the server's own parts do by direct call is here like any request.
 * Source: k8s.io/apiserver/pkg/audit, KEP-22.
 */
import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../runtime/base/clock.ts'
import type { Status } from '../api/types.ts'
import type { User } from '../api/user.ts'
import type { Decision } from '../auth/authorize.ts'
import type { Answer, StreamedAnswer } from './answer.ts'
import { headerOf, type Incoming, type RequestNotes } from './incoming.ts'
import type { RequestInfo } from './request-info.ts'

/** Where lines go. */
export interface AuditSink {
  /** Returns at once. */
  write(line: string): void
}

export type Audited = Pick<Incoming, 'method' | 'path' | 'query' | 'headers' | 'wire'>

export class Audit {
  readonly #sink: AuditSink
  readonly #clock: Clock

  constructor(sink: AuditSink, clock: Clock) {
    this.#sink = sink
    this.#clock = clock
  }

  /** A request has come. */
  begin(request: Audited): RequestAudit {
    return new RequestAudit(request, { sink: this.#sink, clock: this.#clock })
  }
}

const given = /^[A-Za-z0-9-]{1,64}$/

/** What is found out about one request, until it is over. */
export class RequestAudit implements RequestNotes {
  /** In the header `Audit-Id`: as the client gave it, or a new one. */
  readonly id: string
  readonly #request: Audited
  readonly #sink: AuditSink
  readonly #clock: Clock
  readonly #received: string
  #info: RequestInfo | undefined
  #user: User | undefined
  #impersonated: User | undefined
  #decision: Decision | undefined
  #failure: Status | undefined
  #isOver = false
  #name = ''
  readonly #annotations: Record<string, string> = {}

  constructor(request: Audited, { sink, clock }: { sink: AuditSink; clock: Clock }) {
    const id = headerOf(request, 'audit-id') ?? ''
    this.id = given.test(id) ? id : randomUUID()
    this.#request = request
    this.#sink = sink
    this.#clock = clock
    this.#received = microTime(clock)
  }

  means(info: RequestInfo): void {
    this.#info = info
  }

  by(user: User): void {
    this.#user = user
  }

  as(user: User): void {
    this.#impersonated = user
  }

  /** What is made: its name is in the body, or only in the answer. */
  names(name: string): void {
    this.#name = name
  }

  /** What admission found worth telling. */
  annotate(key: string, value: string): void {
    this.#annotations[key] = value
  }

  decided(decision: Decision): void {
    this.#decision = decision
  }

  /** Why the answer is going to be an error. */
  failed(status: Status): void {
    this.#failure = status
  }

  /** Takes the answer down, or its beginning and its end when it is a stream; the answer to send instead. */
  answered(answer: Answer | StreamedAnswer): Answer | StreamedAnswer {
    if (!('stream' in answer)) {
      this.complete(this.#failure ?? { code: answer.status })
      return { ...answer, headers: { ...answer.headers, 'Audit-Id': this.id } }
    }
    return {
      stream: (response: ServerResponse) => {
        response.setHeader('Audit-Id', this.id)
        this.begun()
        response.once('close', () => this.complete({ code: response.statusCode }))
        return answer.stream(response)
      },
    }
  }

  /** The answer has begun, and goes on. */
  begun(): void {
    this.#write('ResponseStarted', { code: 200 })
  }

  /** The connection has left HTTP. */
  upgraded(socket: Duplex): void {
    this.#write('ResponseStarted', { code: 101 })
    socket.once('close', () => this.complete({ code: 101 }))
  }

  complete(status: Pick<Status, 'code' | 'status' | 'reason' | 'message'>): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#write('ResponseComplete', status)
  }

  #write(
    stage: string,
    { code, status, reason, message }: Pick<Status, 'code' | 'status' | 'reason' | 'message'>,
  ): void {
    const { path, query, wire } = this.#request
    const event = {
      kind: 'Event',
      apiVersion: 'audit.k8s.io/v1',
      level: 'Metadata',
      auditID: this.id,
      stage,
      requestURI: wire?.uri ?? (query.size > 0 ? `${path}?${query}` : path),
      verb: this.#info?.verb ?? this.#request.method.toLowerCase(),
      user: this.#user ? infoOf(this.#user) : {},
      ...(this.#impersonated ? { impersonatedUser: infoOf(this.#impersonated) } : {}),
      ...(wire ? { sourceIPs: [wire.address.replace(/^::ffff:/, '')] } : {}),
      userAgent: headerOf(this.#request, 'user-agent'),
      ...this.#objectRef(),
      responseStatus: {
        metadata: {},
        ...(status ? { status } : {}),
        ...(message ? { message } : {}),
        ...(reason ? { reason } : {}),
        code,
      },
      requestReceivedTimestamp: this.#received,
      stageTimestamp: microTime(this.#clock),
      ...this.#allAnnotations(),
    }
    this.#sink.write(`${JSON.stringify(event)}\n`)
  }

  #objectRef() {
    if (this.#info?.type !== 'resource') return {}
    const { resource, namespace, group, version, subresource } = this.#info
    const name = this.#info.name || this.#name
    return {
      objectRef: {
        resource,
        ...(namespace ? { namespace } : {}),
        ...(name ? { name } : {}),
        ...(group ? { apiGroup: group } : {}),
        apiVersion: version,
        ...(subresource ? { subresource } : {}),
      },
    }
  }

  #allAnnotations() {
    if (!this.#decision) return {}
    const { allowed, reason } = this.#decision
    const decision = allowed ? 'allow' : 'forbid'
    const authorization = { 'authorization.k8s.io/decision': decision, 'authorization.k8s.io/reason': reason }
    return { annotations: { ...authorization, ...this.#annotations } }
  }
}

function infoOf({ name, uid, groups, extra }: User) {
  return { username: name, ...(uid ? { uid } : {}), groups, ...(extra ? { extra } : {}) }
}

/** Now, as metav1.MicroTime. */
function microTime(clock: Clock): string {
  return new Date(clock.now()).toISOString().replace('Z', '000Z')
}
