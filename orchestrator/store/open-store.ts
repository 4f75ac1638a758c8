import { join } from 'node:path'
import type { Clock } from '../../runtime/base/clock.ts'
import { openEmbeddedStore } from './embedded/embedded-store.ts'
import type { EtcdAccess } from './etcd/client.ts'
import type { Store } from './store.ts'

export type StoreChoice = { readonly kind: 'embedded' } | ({ readonly kind: 'etcd' } & EtcdAccess)

/** The file of the embedded store. */
export function storePath(dataDir: string): string {
  return join(dataDir, 'store', 'coracle.db')
}

/** Throws STORE_LOCKED, STORE_DAMAGED, STORE_FAILED. */
export async function openStore(choice: StoreChoice, at: { dataDir: string; clock: Clock }): Promise<Store> {
  if (choice.kind === 'embedded') return openEmbeddedStore(storePath(at.dataDir), at.clock)
  // Who does not use it does not pay for loading it.
  const { openEtcdStore } = await import('./etcd/etcd-store.ts')
  return openEtcdStore({ ...choice, clock: at.clock, prefix: '/registry/' })
}
