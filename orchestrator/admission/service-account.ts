/** Source: k8s.io/kubernetes/plugin/pkg/admission/serviceaccount, KEP-1205 (bound tokens). */
import type { Clock } from '../../runtime/base/clock.ts'
import { deepFreeze } from '../api/deep-freeze.ts'
import { generatedName } from '../api/generated-name.ts'
import { serviceAccountKind } from '../api/kinds/config.ts'
import { isMirrorPod, referencesOf } from '../api/pod-references.ts'
import { forbidden } from '../api/status.ts'
import type { Container, Pod, ServiceAccount, Volume } from '../api/types.ts'
import { type AdmissionPlugin, type AdmissionRequest, isNewPod } from './admission.ts'
import { secretNotMountable } from './mountable-secrets.ts'
import type { StoredObjects } from './stored-objects.ts'

export interface ServiceAccountOptions {
  readonly objects: StoredObjects
  readonly clock: Clock
  /** A whole number from 0 to `below` - 1. */
  random(below: number): number
}

type Spec = NonNullable<Pod['spec']>

/**
 * Gives every new pod an account, the account's pull secrets, and files with which its containers reach the API; lets a
 * pod use only those secrets that an account is limited to.
 */
export function serviceAccount(options: ServiceAccountOptions): AdmissionPlugin {
  return {
    name: 'ServiceAccount',
    mutate(request) {
      const pod = request.object as Pod | undefined
      const spec = pod?.spec
      if (!isNewPod(request) || !spec) return
      if (isMirrorPod(pod)) {
        refuseMirrorWithAccount(request, pod)
        return
      }
      spec.serviceAccountName ||= 'default'
      spec.serviceAccount = spec.serviceAccountName
      return withAccount(request, spec.serviceAccountName, { options, act: (account) => lend(account, spec, options) })
    },
    validate(request) {
      const pod = request.object as Pod | undefined
      const isNew = isNewPod(request)
      if (!pod?.spec || isMirrorPod(pod) || !(isNew || getsEphemeralContainers(request))) return
      const { spec } = pod
      const act = (account: ServiceAccount) => {
        const problem = secretNotMountable(account, spec, isNew ? 'new' : 'ephemeral containers')
        if (problem !== undefined) throw forbidden(request.kind, request.name, problem)
      }
      return withAccount(request, spec.serviceAccountName || 'default', { options, act })
    },
  }
}

/** Gives a pod what its account has for it. */
function lend(account: ServiceAccount, spec: Spec, options: ServiceAccountOptions): void {
  const wantsToken = spec.automountServiceAccountToken ?? account.automountServiceAccountToken ?? true
  if (wantsToken) mountToken(spec, options)
  if (!spec.imagePullSecrets?.length && account.imagePullSecrets?.length) {
    spec.imagePullSecrets = account.imagePullSecrets.map((secret) => ({ ...secret }))
  }
}

const getsEphemeralContainers = ({ kind, verb, subresource }: AdmissionRequest) =>
  kind.resource === 'pods' && kind.group === '' && verb === 'update' && subresource === 'ephemeralcontainers'

/** Its files lie on the node already: nothing of the API can be given to it. */
function refuseMirrorWithAccount({ kind, name }: AdmissionRequest, pod: Pod): void {
  const refuse = (what: string) => forbidden(kind, name, `a mirror pod may not ${what}`)
  if (pod.spec?.serviceAccountName) throw refuse('reference service accounts')
  if (referencesOf(pod).some((each) => each.startsWith('secrets/'))) throw refuse('reference secrets')
  for (const { projected } of pod.spec?.volumes ?? []) {
    if (projected?.sources?.some((source) => source.serviceAccountToken)) {
      throw refuse('use ServiceAccountToken volume projections')
    }
  }
}

/** A new namespace gets its account a moment later: it is worth waiting for. */
const tries = 10
const betweenTriesMs = 100

/** Acts at once when the account is there, as it nearly always is. Throws FORBIDDEN when there is none. */
function withAccount(
  request: AdmissionRequest,
  name: string,
  { options, act }: { options: ServiceAccountOptions; act(account: ServiceAccount): void },
): void | Promise<void> {
  const { kind, namespace = '' } = request
  const find = () => options.objects.get(serviceAccountKind, name, namespace)
  const found = find()
  if (found) return act(found)
  const reason = `error looking up service account ${namespace}/${name}: serviceaccount "${name}" not found`
  const missing = forbidden(kind, request.name, reason)
  if (name !== 'default') throw missing
  return awaited(find, options.clock).then((late) => {
    if (!late) throw missing
    act(late)
  })
}

async function awaited<T>(find: () => T | undefined, clock: Clock): Promise<T | undefined> {
  for (let attempt = 1; attempt < tries; attempt++) {
    await clock.sleep(betweenTriesMs)
    const found = find()
    if (found) return found
  }
  return undefined
}

const tokenPath = '/var/run/secrets/kubernetes.io/serviceaccount'

/** One hour, and so much more that a token that is renewed late is still good. */
const tokenSeconds = 3607

const volumePrefix = 'kube-api-access-'

function mountToken(spec: Spec, options: ServiceAccountOptions): void {
  // A copy of another pod brings its volume along.
  const brought = spec.volumes?.find((volume) => volume.name.startsWith(volumePrefix))
  const volumeName = brought?.name ?? generatedName(volumePrefix, options.random)
  const containers: Container[] = [...(spec.initContainers ?? []), ...spec.containers]
  const without = containers.filter(({ volumeMounts = [] }) => !volumeMounts.some((at) => at.mountPath === tokenPath))
  if (without.length === 0) return
  for (const container of without) {
    const mount = { name: volumeName, readOnly: true, mountPath: tokenPath }
    container.volumeMounts = [...(container.volumeMounts ?? []), mount]
  }
  if (!brought) spec.volumes = [...(spec.volumes ?? []), { name: volumeName, projected: tokenFiles }]
}

/** What is in it is the same for all pods, and there once. */
const tokenFiles: NonNullable<Volume['projected']> = deepFreeze({
  defaultMode: 0o644,
  sources: [
    { serviceAccountToken: { path: 'token', expirationSeconds: tokenSeconds } },
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    {
      downwardAPI: {
        items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }],
      },
    },
  ],
})
