/** Which node has to do with which object, kept up to date pod by pod and volume by volume. */
import { isMirrorPod, type Reference, reference, referencesOf } from '../../api/pod-references.ts'
import type { PersistentVolume, Pod, VolumeAttachment } from '../../api/types.ts'

/**
 * ```
 * node ─ pod ─┬─ secret, config map, service account
 *             └─ claim ─ volume ─ secret
 * node ─ volume attachment
 * ```
 * Claims and volumes find each other when somebody asks: either may come first.
 */
export class NodeGraph {
  /** How many pods of a node refer to a thing. */
  readonly #uses = new Map<string, Map<Reference, number>>()
  readonly #pods = new Map<string, { node: string; references: readonly Reference[] }>()
  /** What claims a volume, and which secrets it needs, by name of the volume. */
  readonly #volumes = new Map<string, { claim: Reference; secrets: readonly Reference[] }>()
  readonly #volumesOfSecret = new Map<Reference, Set<string>>()
  readonly #attachments = new Map<string, string>()

  putPod(pod: Pod): void {
    this.removePod(pod)
    const node = pod.spec?.nodeName
    if (!node) return
    const { namespace = '', name = '' } = pod.metadata ?? {}
    // What a mirror says that it uses, nobody has checked.
    const references = [reference('pods', namespace, name), ...(isMirrorPod(pod) ? [] : referencesOf(pod))]
    this.#pods.set(placeOf(pod), { node, references })
    const uses = this.#uses.get(node) ?? new Map<Reference, number>()
    this.#uses.set(node, uses)
    for (const each of references) uses.set(each, (uses.get(each) ?? 0) + 1)
  }

  removePod(pod: Pod): void {
    const known = this.#pods.get(placeOf(pod))
    if (!known) return
    this.#pods.delete(placeOf(pod))
    const uses = this.#uses.get(known.node)
    for (const each of known.references) {
      const count = uses?.get(each) ?? 0
      if (count > 1) uses?.set(each, count - 1)
      else uses?.delete(each)
    }
    if (uses?.size === 0) this.#uses.delete(known.node)
  }

  putVolume(volume: PersistentVolume): void {
    this.removeVolume(volume)
    const { claimRef } = volume.spec ?? {}
    const name = volume.metadata?.name ?? ''
    if (!claimRef) return
    const claim = reference('persistentvolumeclaims', claimRef.namespace ?? '', claimRef.name ?? '')
    const secrets = secretsOfVolume(volume)
    this.#volumes.set(name, { claim, secrets })
    for (const each of secrets)
      this.#volumesOfSecret.set(each, (this.#volumesOfSecret.get(each) ?? new Set()).add(name))
  }

  removeVolume({ metadata }: PersistentVolume): void {
    const name = metadata?.name ?? ''
    for (const each of this.#volumes.get(name)?.secrets ?? []) {
      const volumes = this.#volumesOfSecret.get(each)
      volumes?.delete(name)
      if (volumes?.size === 0) this.#volumesOfSecret.delete(each)
    }
    this.#volumes.delete(name)
  }

  putAttachment({ metadata, spec }: VolumeAttachment): void {
    this.#attachments.set(metadata?.name ?? '', spec.nodeName)
  }

  removeAttachment({ metadata }: VolumeAttachment): void {
    this.#attachments.delete(metadata?.name ?? '')
  }

  /** True if a pod of the node uses this, itself or through a volume. */
  isRelated(node: string, resource: string, place: { namespace: string; name: string }): boolean {
    const { namespace, name } = place
    if (resource === 'volumeattachments') return this.#attachments.get(name) === node
    if (resource === 'persistentvolumes') return this.#usesVolume(node, name)
    const asked = reference(resource, namespace, name)
    if (this.#uses.get(node)?.has(asked)) return true
    return [...(this.#volumesOfSecret.get(asked) ?? [])].some((volume) => this.#usesVolume(node, volume))
  }

  #usesVolume(node: string, name: string): boolean {
    const volume = this.#volumes.get(name)
    return volume !== undefined && (this.#uses.get(node)?.has(volume.claim) ?? false)
  }
}

const placeOf = ({ metadata }: Pod) => `${metadata?.namespace}/${metadata?.name}`

interface SecretRef {
  readonly name?: string
  readonly namespace?: string
}

/** Only what the node itself needs: secrets of provisioners and attachers are not its business. */
function secretsOfVolume({ spec }: PersistentVolume): Reference[] {
  const { csi, cephfs, cinder, flexVolume, iscsi, rbd, scaleIO, storageos, azureFile, claimRef } = spec ?? {}
  const refs: (SecretRef | undefined)[] = [
    csi?.nodePublishSecretRef,
    csi?.nodeStageSecretRef,
    csi?.nodeExpandSecretRef,
    ...[cephfs, cinder, flexVolume, iscsi, rbd, scaleIO, storageos].map((source) => source?.secretRef),
    azureFile && {
      name: azureFile.secretName,
      ...(azureFile.secretNamespace ? { namespace: azureFile.secretNamespace } : {}),
    },
  ]
  return refs.flatMap((ref) =>
    ref?.name ? [reference('secrets', ref.namespace ?? claimRef?.namespace ?? '', ref.name)] : [],
  )
}
