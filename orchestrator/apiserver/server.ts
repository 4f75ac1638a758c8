/** Wires the API server together and starts it. */
import { randomInt, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '../../runtime/base/clock.ts'
import { runAll } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import { namespaceLifecycle } from '../admission/namespace-lifecycle.ts'
import type { Kind } from '../api/kinds/kind.ts'
import { namespaceKind } from '../api/kinds/namespace.ts'
import { builtInKinds, KindTable } from '../api/kinds/table.ts'
import type { KubeObject, Namespace } from '../api/types.ts'
import { mastersGroup, type User } from '../api/user.ts'
import { userOfConnection } from '../auth/authenticate.ts'
import { systemAuthorizer } from '../auth/authorize.ts'
import { openPki, type Pki } from '../auth/pki.ts'
import type { ApiClient } from '../client/api-client.ts'
import { Broadcaster } from '../store/broadcaster.ts'
import { openEmbeddedStore } from '../store/embedded/embedded-store.ts'
import type { Store } from '../store/store.ts'
import { WatchCache } from '../store/watch-cache.ts'
import { createSystemNamespaces } from './bootstrap.ts'
import { directClient } from './direct-client.ts'
import { createHttpServer } from './http.ts'
import { fromStored } from './objects.ts'
import type { ObjectCache, Registry } from './registry.ts'

export interface ServerOptions {
  /** The store is `<dataDir>/store/coracle.db`, the certificates are in `<dataDir>/pki`. */
  readonly dataDir: string
  /** Port 0: any that is free. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Further names and addresses under which clients reach the server. */
  readonly advertise?: readonly string[]
  readonly log: Log
  readonly clock: Clock
}

export interface ApiServer {
  readonly url: string
  readonly port: number
  /** By direct call, as one of system:masters. */
  readonly client: ApiClient
  readonly pki: Pki
  /** Ends all connections and closes the store; what was acknowledged is on the disk. */
  close(): Promise<void>
}

const masterUser: User = { name: 'system:apiserver', groups: [mastersGroup] }

/** Resolves when the server answers. Throws STORE_LOCKED when another server has this data folder, EADDRINUSE. */
export async function startServer(options: ServerOptions): Promise<ApiServer> {
  const { dataDir, log, clock, listen } = options
  const [store, pki] = await Promise.all([
    openEmbeddedStore(join(dataDir, 'store', 'coracle.db')),
    openPki(join(dataDir, 'pki'), clock),
  ])
  const registry = await createRegistry(store, clock)
  const hosts = [
    ...new Set([
      'kubernetes',
      'kubernetes.default',
      'kubernetes.default.svc',
      'localhost',
      '127.0.0.1',
      listen.host,
      ...(options.advertise ?? []),
    ]),
  ]
  const serving = await pki.keep('apiserver', hosts, () => pki.issueServing({ commonName: 'coracle-apiserver', hosts }))
  const kubeletClient = await pki.keep('apiserver-kubelet-client', [], () =>
    pki.issueClient({ commonName: 'kube-apiserver-kubelet-client', organizations: [mastersGroup] }),
  )
  const access = { caPem: pki.caPem, client: kubeletClient }
  const http = createHttpServer({
    serving: { registry, authorizer: systemAuthorizer, checks: { ping: () => {} }, access, log },
    tls: { ...serving, caPem: pki.caPem },
    authenticate: (request) => userOfConnection(request.socket as TLSSocket),
  })
  const client = directClient(registry, masterUser)
  await createSystemNamespaces(client)
  await http.listen({ host: listen.host, port: listen.port })
  const { port } = http.server.address() as AddressInfo
  return {
    url: `https://${listen.host === '0.0.0.0' ? '127.0.0.1' : listen.host}:${port}`,
    port,
    client,
    pki,
    close: () =>
      runAll('close the server', [
        async () => {
          await http.close()
        },
        () => registry.broadcaster.close(),
        () => store.close(),
      ]),
  }
}

/** The verbs' view of a store: loads everything into memory and follows it. */
export async function createRegistry(store: Store, clock: Clock): Promise<Registry> {
  const kinds = new KindTable(builtInKinds)
  const broadcaster = new Broadcaster(store, '/registry/')
  const caches = new Map<string, ObjectCache>()
  for (const { storedAt } of kinds.all()) {
    if (caches.has(storedAt)) continue
    const cache = new WatchCache<KubeObject>({ prefix: storedAt, store, decode: fromStored })
    caches.set(storedAt, cache)
    broadcaster.add(cache)
  }
  const cacheOf = (kind: Kind) => {
    const cache = caches.get(kind.storedAt)
    if (!cache) throw new Error(`find the objects of ${kind.resource}: the kind is not served`)
    return cache
  }
  await broadcaster.start()
  const namespaces = cacheOf(namespaceKind as unknown as Kind)
  const getNamespace = (name: string) =>
    namespaces.get(`${namespaceKind.storedAt}${name}`)?.value as Namespace | undefined
  return {
    kinds,
    store,
    broadcaster,
    admission: [namespaceLifecycle({ getNamespace })],
    clock,
    newUid: randomUUID,
    random: randomInt,
    cacheOf,
  }
}
