/** Which policies there are, in Kubernetes' recommended order (k8s.io/kubernetes/pkg/kubeapiserver/options/plugins.go). */
import type { AdmissionChain } from '../admission/admission.ts'
import {
  certificateApproval,
  certificateSigning,
  certificateSubjectRestriction,
  type IsSigner,
} from '../admission/certificate-signers.ts'
import { defaultStorageClass } from '../admission/default-storage-class.ts'
import { defaultTolerationSeconds } from '../admission/default-toleration-seconds.ts'
import { limitRanger } from '../admission/limit-ranger.ts'
import { namespaceLifecycle } from '../admission/namespace-lifecycle.ts'
import { nodeRestriction } from '../admission/node-restriction.ts'
import type { PodSecurityConfig } from '../admission/pod-security/exemptions.ts'
import { podSecurity } from '../admission/pod-security/pod-security.ts'
import { priority } from '../admission/priority.ts'
import { resourceQuota } from '../admission/quota/resource-quota.ts'
import { rbacEscalation } from '../admission/rbac-escalation.ts'
import { runtimeClass } from '../admission/runtime-class.ts'
import { serviceAccount } from '../admission/service-account.ts'
import { serviceAddresses } from '../admission/service-addresses.ts'
import { storageObjectInUseProtection } from '../admission/storage-object-in-use-protection.ts'
import type { StoredObjects } from '../admission/stored-objects.ts'
import type { Kind } from '../api/kinds/kind.ts'
import { resourceQuotaKind } from '../api/kinds/limits.ts'
import { namespaceKind } from '../api/kinds/namespace.ts'
import { nodeKind } from '../api/kinds/node.ts'
import { podKind } from '../api/kinds/pod.ts'
import { serviceKind } from '../api/kinds/service.ts'
import type { KubeObject, ResourceQuota } from '../api/types.ts'
import { organizationsOf } from '../auth/certificate-request.ts'
import { keyOf } from './objects.ts'
import type { Registry } from './registry.ts'
import { reachNewest, replaceStored } from './stored.ts'

export interface PluginOptions {
  /** Where services get their addresses from. */
  readonly serviceCidr: string
  /** For whom tokens are meant when nobody says so. */
  readonly audiences: readonly string[]
  readonly escalation: Parameters<typeof rbacEscalation>[0]
  readonly podSecurityConfig?: PodSecurityConfig | undefined
  /** Left out of the chain. */
  readonly disabled: readonly AdmissionPluginName[]
}

/** Those that somebody may do without, all of them on unless he says so. The others are part of what a kind is. */
export const admissionPluginNames = [
  'NamespaceLifecycle',
  'LimitRanger',
  'ServiceAccount',
  'NodeRestriction',
  'PodSecurity',
  'Priority',
  'DefaultTolerationSeconds',
  'DefaultStorageClass',
  'StorageObjectInUseProtection',
  'RuntimeClass',
  'CertificateApproval',
  'CertificateSigning',
  'CertificateSubjectRestriction',
  'ResourceQuota',
] as const
export type AdmissionPluginName = (typeof admissionPluginNames)[number]

/** The chain for this server. */
export function admissionPlugins(
  registry: Omit<Registry, 'admission'>,
  { serviceCidr, audiences, escalation, disabled, podSecurityConfig }: PluginOptions,
): AdmissionChain {
  const objects = storedObjects(registry)
  const isSigner: IsSigner = (user, verb, name) => {
    const resource = { group: 'certificates.k8s.io', resource: 'signers', subresource: '', name }
    return registry.authorizer.decide({ user, verb, path: '', resource }).allowed
  }
  const all = [
    namespaceLifecycle({ getNamespace: (name) => objects.get(namespaceKind, name) }),
    limitRanger(objects),
    serviceAccount({ objects, clock: registry.clock, random: (below) => registry.random(below) }),
    nodeRestriction({
      getPod: (namespace, name) => objects.get(podKind, name, namespace),
      getNode: (name) => objects.get(nodeKind, name),
      audiences,
    }),
    podSecurity(objects, podSecurityConfig),
    priority(objects),
    defaultTolerationSeconds,
    defaultStorageClass(objects),
    storageObjectInUseProtection,
    runtimeClass(objects),
    certificateApproval(isSigner),
    certificateSigning(isSigner),
    certificateSubjectRestriction(organizationsOf),
    serviceAddresses({ cidr: serviceCidr, listServices: () => objects.list(serviceKind) }),
    rbacEscalation(escalation),
    // Last: what any other refuses takes nothing.
    resourceQuota({ objects, clock: registry.clock, ...quotaStore({ ...registry, admission: [] }) }),
  ]
  const without = new Set<string>(disabled)
  return all.filter(({ name }) => !without.has(name))
}

/** Reservations go past admission: they are its own work. */
function quotaStore(registry: Registry) {
  const kind = resourceQuotaKind as unknown as Kind
  return {
    reachNewest: async () => reachNewest(registry),
    async replace(old: ResourceQuota, object: ResourceQuota): Promise<void> {
      const { name = '', namespace = '' } = old.metadata ?? {}
      await replaceStored(registry, { kind, name, namespace }, { object, old })
    },
  }
}

function storedObjects({ cacheOf }: Omit<Registry, 'admission'>): StoredObjects {
  return {
    get<T extends KubeObject>(of: Kind<T>, name: string, namespace?: string) {
      const kind = of as unknown as Kind
      return cacheOf(kind).get(keyOf({ kind, name, ...(namespace === undefined ? {} : { namespace }) }))?.value as
        | T
        | undefined
    },
    list<T extends KubeObject>(of: Kind<T>, namespace?: string) {
      const kind = of as unknown as Kind
      const prefix = namespace === undefined ? kind.storedAt : `${kind.storedAt}${namespace}/`
      return cacheOf(kind)
        .listBelow(prefix)
        .map(({ value }) => value as T)
    },
  }
}
