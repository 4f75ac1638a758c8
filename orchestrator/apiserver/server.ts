/** Wires the API server together and starts it. */
import { randomInt, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import type { Clock } from '../../runtime/base/clock.ts'
import { runAll } from '../../runtime/base/errors.ts'
import type { Log } from '../../runtime/base/log.ts'
import type { Kind } from '../api/kinds/kind.ts'
import { builtInKinds, KindTable } from '../api/kinds/table.ts'
import type { KubeObject } from '../api/types.ts'
import { mastersGroup, type User } from '../api/user.ts'
import { userOfConnection } from '../auth/authenticate.ts'
import { systemAuthorizer } from '../auth/authorize.ts'
import { openPki, type Pki } from '../auth/pki.ts'
import type { ApiClient } from '../client/api-client.ts'
import { Broadcaster } from '../store/broadcaster.ts'
import { openStore, type StoreChoice } from '../store/open-store.ts'
import type { Store } from '../store/store.ts'
import { WatchCache } from '../store/watch-cache.ts'
import { admissionPlugins } from './admission-plugins.ts'
import { createSystemNamespaces, createSystemPriorityClasses, publishOwnService } from './bootstrap.ts'
import { startCompactor } from './compactor.ts'
import { directClient } from './direct-client.ts'
import { createHttpServer } from './http.ts'
import { fromStored } from './objects.ts'
import type { HealthChecks } from './paths.ts'
import type { ObjectCache, Registry } from './registry.ts'
import type { Page } from './serving.ts'

export interface ServerOptions {
  /** The embedded store is `<dataDir>/store/coracle.db`, the certificates are in `<dataDir>/pki`. */
  readonly dataDir: string
  /** The embedded one when left out. */
  readonly store?: StoreChoice
  /** Port 0: any that is free. */
  readonly listen: { readonly host: string; readonly port: number }
  /** Further names and addresses under which clients reach the server. */
  readonly advertise?: readonly string[]
  /** From which services get their addresses; 10.96.0.0/16 when left out. */
  readonly serviceCidr?: string
  readonly log: Log
  readonly clock: Clock
}

export interface ApiServer {
  readonly url: string
  readonly port: number
  /** By direct call, as one of system:masters. */
  readonly client: ApiClient
  readonly pki: Pki
  /** Lets another part of the server tell something under paths that begin so; only system:masters may read it. */
  servePath(beginning: string, page: Page): void
  /** Ends all connections and closes the store; what was acknowledged is on the disk. */
  close(): Promise<void>
}

const defaultServiceCidr = '10.96.0.0/16'

const masterUser: User = { name: 'system:apiserver', groups: [mastersGroup] }

/** Resolves when the server answers. Throws STORE_LOCKED when another server has this data folder, EADDRINUSE. */
export async function startServer(options: ServerOptions): Promise<ApiServer> {
  const undo: (() => void | Promise<void>)[] = []
  const close = () => runAll('close the server', undo.splice(0).reverse())
  try {
    return { ...(await start(options, (step) => undo.push(step))), close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Whatever has to be undone, `onClose` is told at once. */
async function start(
  options: ServerOptions,
  onClose: (step: () => void | Promise<void>) => void,
): Promise<Omit<ApiServer, 'close'>> {
  const { dataDir, log, clock, listen, advertise = [], serviceCidr = defaultServiceCidr } = options
  const store = await openStore(options.store ?? { kind: 'embedded' }, { dataDir, clock })
  onClose(() => store.close())
  const pki = await openPki(join(dataDir, 'pki'), clock)
  const registry = await createRegistry(store, { clock, serviceCidr })
  onClose(() => registry.broadcaster.close())
  const client = directClient(registry, masterUser)
  await createSystemNamespaces(client)
  await createSystemPriorityClasses(client)
  const { tls, access } = await ownCertificates(pki, [
    ...ownNames,
    firstAddress(serviceCidr),
    listen.host,
    ...advertise,
  ])
  const pages = new Map<string, Page>()
  const http = createHttpServer({
    serving: { registry, authorizer: systemAuthorizer, checks: healthChecks(store), access, pages, log },
    tls,
    authenticate: (request) => userOfConnection(request.socket as TLSSocket),
  })
  onClose(async () => {
    await http.close()
  })
  await http.listen({ host: listen.host, port: listen.port })
  const { port } = http.server.address() as AddressInfo
  await publishOwnService(client, {
    clusterIP: firstAddress(serviceCidr),
    addresses: [listen.host, ...advertise],
    port,
  })
  onClose(startCompactor({ store, broadcaster: registry.broadcaster, clock, log }))
  return {
    url: `https://${listen.host === '0.0.0.0' ? '127.0.0.1' : listen.host}:${port}`,
    port,
    client,
    pki,
    servePath: (beginning, page) => void pages.set(beginning, page),
  }
}

const ownNames = [
  'kubernetes',
  'kubernetes.default',
  'kubernetes.default.svc',
  'kubernetes.default.svc.cluster.local',
  'localhost',
  '127.0.0.1',
]

async function ownCertificates(pki: Pki, names: readonly string[]) {
  const hosts = [...new Set(names)]
  const serving = await pki.keep('apiserver', hosts, () => pki.issueServing({ commonName: 'coracle-apiserver', hosts }))
  const client = await pki.keep('apiserver-kubelet-client', [], () =>
    pki.issueClient({ commonName: 'kube-apiserver-kubelet-client', organizations: [mastersGroup] }),
  )
  return { tls: { ...serving, caPem: pki.caPem }, access: { caPem: pki.caPem, client } }
}

/** The service `kubernetes` has the first address of the range. */
function firstAddress(cidr: string): string {
  const [base = ''] = cidr.split('/')
  return base.replace(/\d+$/, (last) => String(Number(last) + 1))
}

function healthChecks(store: Store): HealthChecks {
  return {
    ping: () => {},
    store: () => {
      if (store.failure) throw store.failure
    },
  }
}

/** The verbs' view of a store: loads everything into memory and follows it. */
export async function createRegistry(store: Store, options: { clock: Clock; serviceCidr: string }): Promise<Registry> {
  const { clock, serviceCidr } = options
  const kinds = new KindTable(builtInKinds)
  const broadcaster = new Broadcaster(store, '/registry/')
  const caches = new Map<string, ObjectCache>()
  for (const { storedAt } of kinds.all()) {
    if (storedAt === '' || caches.has(storedAt)) continue
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
  const parts = { kinds, store, broadcaster, clock, newUid: randomUUID, random: randomInt, cacheOf }
  return { ...parts, admission: admissionPlugins(parts, serviceCidr) }
}
