import { hasCode } from '../../runtime/base/errors.ts'
import { resources } from '../api/resources.ts'
import type { Namespace, ServiceAccount } from '../api/types.ts'
import { Informer } from '../client/informer.ts'
import { type Controller, type ControllerOptions, Reconciler } from './reconciler.ts'

/** Every active namespace has a ServiceAccount `default` (upstream: serviceaccounts controller). */
export function serviceAccountController(options: ControllerOptions): Controller {
  const { client } = options
  const reconciler = new Reconciler({ ...options, name: 'service-account', reconcile: (name) => reconcile(name) })
  const namespaces = new Informer<Namespace>({
    client,
    resource: resources.namespaces,
    onChange: (name) => reconciler.add(name),
  })
  const accounts = new Informer<ServiceAccount>({
    client,
    resource: resources.serviceAccounts,
    onChange: (key) => reconciler.add(key.split('/')[0] ?? ''),
  })
  const reconcile = async (namespace: string) => {
    const found = namespaces.get(namespace)
    if (!found || found.metadata?.deletionTimestamp !== undefined || accounts.get(`${namespace}/default`)) return
    const metadata = { name: 'default', namespace }
    try {
      await client.create(resources.serviceAccounts, { apiVersion: 'v1', kind: 'ServiceAccount', metadata })
    } catch (error) {
      if (!hasCode(error, 'ALREADY_EXISTS')) throw error
    }
  }
  return reconciler.with([accounts, namespaces])
}
