/** Wires the API server together and starts it. */
import { randomInt, randomUUID } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Clock } from '../../runtime/base/clock.ts'
import { messageOf, runAll } from '../../runtime/base/errors.ts'
import { type Log, silentLog } from '../../runtime/base/log.ts'
import type { PodSecurityConfig } from '../admission/pod-security/exemptions.ts'
import type { Kind } from '../api/kinds/kind.ts'
import { builtInKinds, KindTable } from '../api/kinds/table.ts'
import { apiServerPart, type Part } from '../api/parts.ts'
import type { KubeObject } from '../api/types.ts'
import type { Pki } from '../auth/pki.ts'
import type { KubernetesClaims } from '../auth/tokens/claims.ts'
import type { TokenKeys } from '../auth/tokens/keys.ts'
import { TokenAuthority } from '../auth/tokens/token-authority.ts'
import type { ApiClient } from '../client/api-client.ts'
import { Broadcaster } from '../store/broadcaster.ts'
import { openStore, type StoreChoice } from '../store/open-store.ts'
import type { Store } from '../store/store.ts'
import { WatchCache } from '../store/watch-cache.ts'
import { type AdmissionPluginName, admissionPlugins } from './admission-plugins.ts'
import { Audit } from './audit.ts'
import { AuditLog, type AuditLogOptions } from './audit-log.ts'
import { requestAuthenticator } from './authenticator.ts'
import {
  createDefaultAccounts,
  createSystemNamespaces,
  createSystemPriorityClasses,
  publishOwnService,
} from './bootstrap.ts'
import { startCompactor } from './compactor.ts'
import { reconcileDefaultPolicy } from './default-policy.ts'
import { directClient } from './direct-client.ts'
import { createHttpServer } from './http.ts'
import { measuredStore } from './measured-store.ts'
import { ServerMetrics } from './metrics.ts'
import { atLaterRevision, fromStored } from './objects.ts'
import type { HealthChecks } from './paths.ts'
import { openPermissions } from './permissions.ts'
import type { ObjectCache, Registry } from './registry.ts'
import { openServerKeys, type SharedKeys } from './server-keys.ts'
import type { Page } from './serving.ts'
import { tokenObjects } from './token-objects.ts'

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
  /** For servers that share a store: what one of them signs is good at the others. */
  readonly sharedKeys?: SharedKeys
  /** In every token of a service account; `defaultIssuer` when left out. */
  readonly serviceAccountIssuer?: string
  /** For whom a token has to be made to be good here; the issuer when left out. */
  readonly apiAudiences?: readonly string[]
  /** False: not even health and version for who does not say who he is. */
  readonly anonymousAuth?: boolean
  /** Admission plugins to do without; none when left out. */
  readonly disabledAdmissionPlugins?: readonly AdmissionPluginName[]
  /** Whom PodSecurity looks at, and what is usual; everybody, and nothing is forbidden, when left out. */
  readonly podSecurityConfig?: PodSecurityConfig
  /** Where it is written who did what; nowhere when left out. */
  readonly audit?: Omit<AuditLogOptions, 'clock' | 'log'>
  readonly log: Log
  readonly clock: Clock
}

export interface ApiServer {
  readonly url: string
  readonly port: number
  /** By direct call, as the server itself, which may do everything. */
  readonly client: ApiClient
  /** By direct call, with the rights of a part of the system, and written down as its doing. */
  clientOf(part: Part): ApiClient
  readonly pki: Pki
  /** A token for a secret of type kubernetes.io/service-account-token. */
  issueLegacyToken(claims: KubernetesClaims): Promise<string>
  /** Lets another part of the server tell something under paths that begin so; only system:masters may read it. */
  servePath(beginning: string, page: Page): void
  /** Ends all connections and closes the store; what was acknowledged is on the disk. */
  close(): Promise<void>
}

const defaultServiceCidr = '10.96.0.0/16'

/** Under this name pods reach the server, and find its keys. */
const defaultIssuer = 'https://kubernetes.default.svc.cluster.local'

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
  const names = [firstAddress(serviceCidr), listen.host, ...advertise]
  const keys = await openServerKeys(join(dataDir, 'pki'), { names, shared: options.sharedKeys, clock })
  const { pki } = keys
  const authority = tokenAuthority(keys.tokens, options)
  const registry = await createRegistry(store, {
    clock,
    serviceCidr,
    authority,
    log,
    disabledAdmissionPlugins: options.disabledAdmissionPlugins,
    podSecurityConfig: options.podSecurityConfig,
  })
  onClose(() => registry.broadcaster.close())
  registry.metrics.measureProcess()
  const audit = openAudit(options, onClose)
  const clientOf = (part: Part) => directClient(registry, part, audit)
  const client = clientOf(apiServerPart)
  await createSystemNamespaces(client)
  await createDefaultAccounts(client)
  await createSystemPriorityClasses(client)
  await reconcileDefaultPolicy(client)
  const pages = new Map<string, Page>()
  const { authorizer } = registry
  const http = createHttpServer({
    serving: {
      registry,
      authorizer,
      checks: healthChecks(store),
      access: { caPem: pki.caPem, client: keys.client },
      pages,
      log,
      anonymousAuth: options.anonymousAuth ?? true,
      ...(audit ? { audit } : {}),
    },
    tls: keys.tls,
    ...(keys.revoked ? { revoked: keys.revoked } : {}),
    authenticate: requestAuthenticator({ clock, ...(registry.tokens ? { tokens: registry.tokens } : {}) }),
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
    clientOf,
    pki,
    issueLegacyToken: (claims) => authority.issueLegacy(claims),
    servePath: (beginning, page) => void pages.set(beginning, page),
  }
}

function openAudit({ audit, clock, log }: ServerOptions, onClose: (step: () => Promise<void>) => void) {
  if (!audit) return undefined
  const lines = new AuditLog({ ...audit, clock, log })
  onClose(() => lines.close())
  return new Audit(lines, clock)
}

function tokenAuthority(keys: TokenKeys, { clock, serviceAccountIssuer, apiAudiences }: ServerOptions): TokenAuthority {
  const audiences = apiAudiences ? { audiences: apiAudiences } : {}
  return new TokenAuthority({ keys, clock, issuer: serviceAccountIssuer ?? defaultIssuer, ...audiences })
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

export interface RegistryOptions {
  readonly clock: Clock
  readonly serviceCidr: string
  /** Without it no tokens are given out or believed. */
  readonly authority?: TokenAuthority
  readonly disabledAdmissionPlugins?: readonly AdmissionPluginName[] | undefined
  readonly podSecurityConfig?: PodSecurityConfig | undefined
  /** Told what should not happen; nobody when left out. */
  readonly log?: Log
}

/** The verbs' view of a store: loads everything into memory and follows it. */
export async function createRegistry(bareStore: Store, options: RegistryOptions): Promise<Registry> {
  const { clock, serviceCidr, authority, log = silentLog } = options
  const kinds = new KindTable(builtInKinds)
  const caches = new Map<string, ObjectCache>()
  const metrics = new ServerMetrics(() =>
    [...caches].map(([storedAt, cache]) => [storedAt.split('/')[2] ?? '', cache.list().length] as const),
  )
  const store = measuredStore(bareStore, metrics)
  const broadcaster = new Broadcaster(store, '/registry/')
  const failed = (error: unknown) => log.error('a watch cache', { error: messageOf(error) })
  const cacheOf = openCaches(caches, { store, kinds, broadcaster, failed })
  await broadcaster.start()
  const { authorizer, escalation } = openPermissions(cacheOf)
  const tokens = authority && { authority, objects: tokenObjects(cacheOf), clock }
  const base = {
    kinds,
    store,
    broadcaster,
    authorizer,
    clock,
    metrics,
    newUid: randomUUID,
    random: randomInt,
    cacheOf,
  }
  const audiences = authority?.audiences ?? []
  const admission = admissionPlugins(base, {
    serviceCidr,
    escalation,
    audiences,
    podSecurityConfig: options.podSecurityConfig,
    disabled: options.disabledAdmissionPlugins ?? [],
  })
  return { ...base, admission, ...(tokens ? { tokens } : {}) }
}

/** Makes one cache for each place in the store, not filled yet. */
function openCaches(
  caches: Map<string, ObjectCache>,
  {
    kinds,
    broadcaster,
    ...source
  }: { store: Store; kinds: KindTable; broadcaster: Broadcaster; failed: (error: unknown) => void },
): (kind: Kind) => ObjectCache {
  for (const { storedAt } of kinds.all()) {
    if (storedAt === '' || caches.has(storedAt)) continue
    const cache = new WatchCache<KubeObject>({
      ...source,
      prefix: storedAt,
      decode: fromStored,
      atRevision: atLaterRevision,
    })
    caches.set(storedAt, cache)
    broadcaster.add(cache)
  }
  return (kind) => {
    const cache = caches.get(kind.storedAt)
    if (!cache) throw new Error(`find the objects of ${kind.resource}: the kind is not served`)
    return cache
  }
}
