/** What a pod refers to: what the kubelet that runs it has to read. Source: k8s.io/kubernetes/pkg/api/v1/pod/util.go. */
import type { Container, Pod, Volume } from './types.ts'

/** `<resource>/<namespace>/<name>` in the core group. */
export type Reference = string

export function reference(resource: string, namespace: string, name: string): Reference {
  return `${resource}/${namespace}/${name}`
}

export const mirrorAnnotation = 'kubernetes.io/config.mirror'

/** The copy in the API of a pod that a node has from a file. What it claims to use, nobody has checked. */
export function isMirrorPod({ metadata }: Pod): boolean {
  return metadata?.annotations?.[mirrorAnnotation] !== undefined
}

/** Its secrets, config maps, claims and service account. */
export function referencesOf(pod: Pod): Reference[] {
  const { name = '', namespace = '' } = pod.metadata ?? {}
  if (!pod.spec) return []
  const { containers, initContainers = [], ephemeralContainers = [], volumes = [], imagePullSecrets = [] } = pod.spec
  const all = [...containers, ...initContainers, ...ephemeralContainers] as readonly Container[]
  const names = [
    ['serviceaccounts', [pod.spec.serviceAccountName]],
    [
      'secrets',
      [...imagePullSecrets.map((each) => each.name), ...all.flatMap(secretsOf), ...volumes.flatMap(ofVolume)],
    ],
    ['configmaps', [...all.flatMap(configMapsOf), ...volumes.flatMap(configMapsOfVolume)]],
    ['persistentvolumeclaims', volumes.map((volume) => claimOf(volume, name))],
  ] as const
  const used = names.flatMap(([resource, list]) =>
    list.flatMap((each) => (each ? [reference(resource, namespace, each)] : [])),
  )
  return [...new Set(used)]
}

type Names = readonly (string | undefined)[]

function secretsOf({ env = [], envFrom = [] }: Container): Names {
  return [...env.map(({ valueFrom }) => valueFrom?.secretKeyRef?.name), ...envFrom.map((from) => from.secretRef?.name)]
}

function configMapsOf({ env = [], envFrom = [] }: Container): Names {
  return [
    ...env.map(({ valueFrom }) => valueFrom?.configMapKeyRef?.name),
    ...envFrom.map((from) => from.configMapRef?.name),
  ]
}

function ofVolume({ secret, projected, csi, ...others }: Volume): Names {
  const { azureFile, cephfs, cinder, flexVolume, iscsi, rbd, scaleIO, storageos } = others
  const withRef = [cephfs, cinder, flexVolume, iscsi, rbd, scaleIO, storageos]
  return [
    secret?.secretName,
    ...(projected?.sources ?? []).map((source) => source.secret?.name),
    csi?.nodePublishSecretRef?.name,
    azureFile?.secretName,
    ...withRef.map((source) => source?.secretRef?.name),
  ]
}

function configMapsOfVolume({ configMap, projected }: Volume): Names {
  return [configMap?.name, ...(projected?.sources ?? []).map((source) => source.configMap?.name)]
}

/** An ephemeral volume is a claim with a name made of both. */
function claimOf({ persistentVolumeClaim, ephemeral, name }: Volume, pod: string): string | undefined {
  return ephemeral ? `${pod}-${name}` : persistentVolumeClaim?.claimName
}
