import { hasCode } from '../../runtime/base/errors.ts'
import { builtInKinds } from '../api/kinds/table.ts'
import { resources } from '../api/resources.ts'
import type { KubeObject, Namespace, ResourceRef } from '../api/types.ts'
import type { ApiClient } from '../client/api-client.ts'
import { Informer } from '../client/informer.ts'
import { updateUntilNoConflict } from '../client/update-on-conflict.ts'
import { type Controller, type ControllerOptions, Reconciler } from './reconciler.ts'

const lookAgainMs = 200

/** Empties a namespace that is being deleted, and lets it go when nothing is left in it (upstream: namespace controller). */
export function namespaceController(options: ControllerOptions): Controller {
  const { client } = options
  const reconciler = new Reconciler({ ...options, name: 'namespace', reconcile: (name) => reconcile(name) })
  const namespaces = new Informer<Namespace>({
    client,
    resource: resources.namespaces,
    onChange: (name) => reconciler.add(name),
  })
  const reconcile = async (name: string) => {
    const namespace = namespaces.get(name)
    if (namespace?.metadata?.deletionTimestamp === undefined) return
    // Pods take their time to end: that is no failure.
    if ((await empty(client, name)) > 0) reconciler.addAfter(name, lookAgainMs)
    else await finalize(client, name)
  }
  return reconciler.with([namespaces])
}

/** Every kind of which there can be objects in a namespace, in the version in which they are stored. */
const stored: readonly ResourceRef<KubeObject>[] = builtInKinds.filter(
  ({ namespaced, storedAt, conversion }) => namespaced && storedAt !== '' && !conversion,
)

/** Deletes all that is in the namespace; returns how many objects were still there. */
async function empty(client: ApiClient, namespace: string): Promise<number> {
  let found = 0
  for (const resource of stored) {
    const { items } = await client.list(resource, { namespace })
    found += items.length
    for (const item of items) {
      if (item.metadata?.deletionTimestamp !== undefined) continue
      await client.delete(resource, { namespace, name: item.metadata?.name ?? '' }).catch((error: unknown) => {
        if (!hasCode(error, 'NOT_FOUND')) throw error
      })
    }
  }
  return found
}

async function finalize(client: ApiClient, name: string): Promise<void> {
  const without = (namespace: Namespace) => (namespace.spec?.finalizers ?? []).filter((each) => each !== 'kubernetes')
  try {
    await updateUntilNoConflict(
      { client, resource: resources.namespaces, key: { name } },
      {
        subresource: 'finalize',
        next: (namespace) => ({ ...namespace, spec: { ...namespace.spec, finalizers: without(namespace) } }),
      },
    )
  } catch (error) {
    if (!hasCode(error, 'NOT_FOUND')) throw error
  }
}
