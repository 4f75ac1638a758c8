import { hasCode } from '../../runtime/base/errors.ts'
import { isEqual } from '../api/equal.ts'
import { resources } from '../api/resources.ts'
import type { ConfigMap, Namespace } from '../api/types.ts'
import { Informer } from '../client/informer.ts'
import { type Controller, type ControllerOptions, Reconciler } from './reconciler.ts'

const rootCaName = 'kube-root-ca.crt'

/** Every namespace has a ConfigMap by which its pods know the API server (upstream: root-ca-cert-publisher). */
export function rootCaPublisher(options: ControllerOptions & { caPem: string }): Controller {
  const { client, caPem } = options
  const reconciler = new Reconciler({ ...options, name: 'root-ca-publisher', reconcile: (name) => reconcile(name) })
  const namespaces = new Informer<Namespace>({
    client,
    resource: resources.namespaces,
    onChange: (name) => reconciler.add(name),
  })
  const published = new Informer<ConfigMap>({
    client,
    resource: resources.configMaps,
    fieldSelector: `metadata.name=${rootCaName}`,
    onChange: (key) => reconciler.add(key.split('/')[0] ?? ''),
  })
  const data = { 'ca.crt': caPem }
  const reconcile = async (namespace: string) => {
    const found = namespaces.get(namespace)
    if (!found || found.metadata?.deletionTimestamp !== undefined) return
    const current = published.get(`${namespace}/${rootCaName}`)
    if (current && isEqual(current.data, data)) return
    try {
      if (current) await client.update(resources.configMaps, { ...current, data })
      else await client.create(resources.configMaps, { metadata: { name: rootCaName, namespace }, data })
    } catch (error) {
      if (!hasCode(error, 'ALREADY_EXISTS')) throw error
    }
  }
  return reconciler.with([published, namespaces])
}
