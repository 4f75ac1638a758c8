/**
 * Calls to a cluster of etcd members, one attempt each. All go to one member until it fails; the next call goes to the
 * next one. Nothing is repeated here: only who knows what a call does can say whether it may be.
 */
import { fileURLToPath } from 'node:url'
import {
  Client,
  type ClientDuplexStream,
  credentials,
  Metadata,
  type MethodDefinition,
  type ServiceDefinition,
  type ServiceError,
  status,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'
import { messageOf } from '../../../runtime/base/errors.ts'
import { storeError } from '../errors.ts'
import type { Calls, WatchRequest, WatchResponse } from './messages.ts'

/** Where a cluster is, and who we are to it. */
export interface EtcdAccess {
  /** `https://host:port`, one for each member. All `https` or all `http`. */
  readonly endpoints: readonly string[]
  /** PEM. Without `ca` the public authorities are trusted. */
  readonly tls?: { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer }
  readonly user?: { readonly name: string; readonly password: string }
}

export type WatchStream = ClientDuplexStream<WatchRequest, WatchResponse>

/** A member that has not answered by then is taken for cut off. Above etcd's own 7 s it would only repeat its answer. */
const attemptMilliseconds = 5000

const channelOptions = {
  // etcd cuts off who pings more often than every 5 s. A watch would notice a dead member only by this.
  'grpc.keepalive_time_ms': 6000,
  'grpc.keepalive_timeout_ms': 3000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1000,
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  'grpc.use_local_subchannel_pool': 1,
  // A proxy from the environment has no business between us and our store.
  'grpc.enable_http_proxy': 0,
}

type Method = MethodDefinition<unknown, unknown>

const protocol = loadSync(fileURLToPath(new URL('./etcd.proto', import.meta.url)), {
  keepCase: true,
  longs: Number,
  enums: String,
  defaults: true,
})

function methodOf(name: keyof Calls | 'Watch.Watch'): Method {
  const [service = '', method = ''] = name.split('.')
  const found = (protocol[`etcdserverpb.${service}`] as ServiceDefinition | undefined)?.[method]
  if (!found) throw new Error(`find ${name} in etcd.proto: it is not there`)
  return found
}

export class EtcdClient {
  readonly #members: readonly Client[]
  readonly #user: EtcdAccess['user']
  readonly #onMove = new Set<() => void>()
  #current = 0
  #token: Promise<string> | undefined

  /** Throws STORE_FAILED for endpoints that cannot be right. Connects with the first call. */
  constructor({ endpoints, tls, user }: EtcdAccess) {
    const isSecure = endpoints.some((endpoint) => endpoint.startsWith('https://'))
    if (endpoints.length === 0 || endpoints.some((endpoint) => endpoint.startsWith('https://') !== isSecure)) {
      throw storeError('STORE_FAILED', `use etcd at '${endpoints.join(',')}': all have to be https, or all http`)
    }
    const access = isSecure
      ? credentials.createSsl(tls?.ca ?? null, tls?.key ?? null, tls?.cert ?? null)
      : credentials.createInsecure()
    const address = (endpoint: string) => endpoint.replace(/^https?:\/\//, '')
    this.#members = endpoints.map((endpoint) => new Client(address(endpoint), access, channelOptions))
    this.#user = user
  }

  get memberCount(): number {
    return this.#members.length
  }

  /** One attempt, at the current member or at `member`. Throws what gRPC says: see `isOutcomeUnknown`. */
  async call<Name extends keyof Calls>(name: Name, request: Calls[Name][0], member?: number): Promise<Calls[Name][1]> {
    const at = member ?? this.#current
    try {
      return await this.#callWithToken(name, request, at)
    } catch (error) {
      if (member === undefined && isOutcomeUnknown(error)) this.#moveOn(at)
      throw error
    }
  }

  /** A stream at the current member, which ends with an error when that one loses its leader or is cut off. */
  async watch(): Promise<WatchStream> {
    const at = this.#current
    const { path, requestSerialize, responseDeserialize } = methodOf('Watch.Watch')
    const metadata = await this.#metadata(at)
    const client = this.#members[at] as Client
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata) as WatchStream
    stream.on('error', (error) => {
      if (isUnauthenticated(error)) this.forgetToken()
      if (isOutcomeUnknown(error) && (error as ServiceError).code !== status.CANCELLED) this.#moveOn(at)
    })
    return stream
  }

  /** Calls `listener` whenever another member has become the current one. */
  onMove(listener: () => void): void {
    this.#onMove.add(listener)
  }

  /** The next call asks for a new one, where there is a user. */
  forgetToken(): void {
    this.#token = undefined
  }

  close(): void {
    for (const member of this.#members) member.close()
  }

  #moveOn(from: number): void {
    if (this.#current !== from || this.#members.length === 1) return
    this.#current = (from + 1) % this.#members.length
    for (const listener of this.#onMove) listener()
  }

  async #callWithToken<Name extends keyof Calls>(
    name: Name,
    request: Calls[Name][0],
    at: number,
  ): Promise<Calls[Name][1]> {
    try {
      return await this.#send(name, request, { at, metadata: await this.#metadata(at) })
    } catch (error) {
      if (!this.#user || !isUnauthenticated(error)) throw error
      // Tokens die with the member that gave them, with time, and with every change of permissions.
      this.forgetToken()
      return this.#send(name, request, { at, metadata: await this.#metadata(at) })
    }
  }

  async #metadata(at: number): Promise<Metadata> {
    const metadata = new Metadata()
    // Without it a member that is cut off from the others would keep a watch open, and silent, for ever.
    metadata.set('hasleader', 'true')
    if (!this.#user) return metadata
    this.#token ??= this.#authenticate(at)
    metadata.set('token', await this.#token)
    return metadata
  }

  async #authenticate(at: number): Promise<string> {
    const { name = '', password = '' } = this.#user ?? {}
    try {
      const answer = await this.#send('Auth.Authenticate', { name, password }, { at, metadata: new Metadata() })
      return answer.token
    } catch (error) {
      this.#token = undefined
      if (isOutcomeUnknown(error)) throw error
      throw storeError('STORE_FAILED', `log in to etcd as ${name}: ${messageOf(error)}`, error)
    }
  }

  #send<Name extends keyof Calls>(
    name: Name,
    request: Calls[Name][0],
    { at, metadata }: { at: number; metadata: Metadata },
  ): Promise<Calls[Name][1]> {
    const { path, requestSerialize, responseDeserialize } = methodOf(name)
    const client = this.#members[at] as Client
    const deadline = Date.now() + attemptMilliseconds
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        metadata,
        { deadline },
        (error, answer) => (error ? reject(error) : resolve(answer as Calls[Name][1])),
      )
    })
  }
}

/** True if the call may or may not have been carried out: no answer came, or none that says so. */
export function isOutcomeUnknown(error: unknown): boolean {
  const unknown = [status.UNAVAILABLE, status.DEADLINE_EXCEEDED, status.CANCELLED, status.INTERNAL, status.UNKNOWN]
  return unknown.includes(codeOf(error) ?? status.OK)
}

/** 3.4 says INVALID_ARGUMENT to a token from before a change of permissions. */
function isUnauthenticated(error: unknown): boolean {
  const code = codeOf(error)
  return code === status.UNAUTHENTICATED || code === status.INVALID_ARGUMENT
}

/** The gRPC status of an error; undefined when it is none of gRPC's. */
export function codeOf(error: unknown): status | undefined {
  const code = (error as Partial<ServiceError> | null | undefined)?.code
  return typeof code === 'number' ? code : undefined
}
