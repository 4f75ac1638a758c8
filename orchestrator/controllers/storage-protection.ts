/**
 * Lets claims and volumes go when nobody uses them any more (upstream: pvc-protection and pv-protection controllers).
 * Their finalizers come from admission.
 */
import { persistentVolumeClaimKind, persistentVolumeKind } from '../api/kinds/persistent-volume.ts'
import { resources } from '../api/resources.ts'
import type { PersistentVolume, PersistentVolumeClaim, Pod } from '../api/types.ts'
import { Informer, splitKey } from '../client/informer.ts'
import { type Controller, type ControllerOptions, Reconciler } from './reconciler.ts'
import { removeFinalizer } from './remove-finalizer.ts'

const ofClaims = 'kubernetes.io/pvc-protection'
const ofVolumes = 'kubernetes.io/pv-protection'

/** A claim stays while a pod that has not ended names it. */
export function claimProtectionController(options: ControllerOptions): Controller {
  const { client } = options
  const reconciler = new Reconciler({ ...options, name: 'pvc-protection', reconcile: (key) => reconcile(key) })
  const claims = new Informer<PersistentVolumeClaim>({
    client,
    resource: persistentVolumeClaimKind,
    onChange: (key) => reconciler.add(key),
  })
  const pods = new Informer<Pod>({
    client,
    resource: resources.pods,
    onChange: (key) => {
      const { namespace } = splitKey(key)
      for (const { metadata } of claims.list()) {
        if (metadata?.deletionTimestamp && metadata.namespace === namespace) {
          reconciler.add(`${namespace}/${metadata.name}`)
        }
      }
    },
  })
  const reconcile = async (key: string) => {
    const { metadata } = claims.get(key) ?? {}
    if (!metadata?.deletionTimestamp || !metadata.finalizers?.includes(ofClaims)) return
    // The cache may lag behind: a pod that was made just now counts.
    const { items } = await client.list(resources.pods, { namespace: metadata.namespace ?? '' })
    if (items.some((pod) => claimsOf(pod).includes(key) && !hasEnded(pod))) return
    await removeFinalizer({ client, resource: persistentVolumeClaimKind, key: splitKey(key) }, ofClaims)
  }
  return reconciler.with([pods, claims])
}

const hasEnded = ({ status }: Pod) => status?.phase === 'Succeeded' || status?.phase === 'Failed'

/** Also those that are made for the pod alone (`ephemeral`), which have its name in front. */
function claimsOf({ metadata, spec }: Pod): string[] {
  const { name = '', namespace = '' } = metadata ?? {}
  return (spec?.volumes ?? []).flatMap((volume) => {
    const claim = volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral ? `${name}-${volume.name}` : undefined)
    return claim === undefined ? [] : [`${namespace}/${claim}`]
  })
}

/** A volume stays while it is bound to a claim. */
export function volumeProtectionController(options: ControllerOptions): Controller {
  const { client } = options
  const reconciler = new Reconciler({ ...options, name: 'pv-protection', reconcile: (name) => reconcile(name) })
  const volumes = new Informer<PersistentVolume>({
    client,
    resource: persistentVolumeKind,
    onChange: (name) => reconciler.add(name),
  })
  const reconcile = async (name: string) => {
    const { metadata, status } = volumes.get(name) ?? {}
    if (!metadata?.deletionTimestamp || !metadata.finalizers?.includes(ofVolumes)) return
    if (status?.phase === 'Bound') return
    await removeFinalizer({ client, resource: persistentVolumeKind, key: { name } }, ofVolumes)
  }
  return reconciler.with([volumes])
}
