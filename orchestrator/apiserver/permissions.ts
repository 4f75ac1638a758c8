/** Who may do what, from the roles, bindings, pods and volumes that the caches hold. */
import type { EscalationChecks } from '../admission/rbac-escalation.ts'
import type { Kind } from '../api/kinds/kind.ts'
import { persistentVolumeKind } from '../api/kinds/persistent-volume.ts'
import { podKind } from '../api/kinds/pod.ts'
import { clusterRoleBindingKind, clusterRoleKind, roleBindingKind, roleKind } from '../api/kinds/rbac.ts'
import { volumeAttachmentKind } from '../api/kinds/storage.ts'
import { notFound } from '../api/status.ts'
import type { KubeObject } from '../api/types.ts'
import { type Authorizer, chainOf, mastersAuthorizer } from '../auth/authorize.ts'
import { nodeAuthorizer } from '../auth/node/node-authorizer.ts'
import { NodeGraph } from '../auth/node/node-graph.ts'
import { escalationOf } from '../auth/rbac/covers.ts'
import { rbacAuthorizer } from '../auth/rbac/rbac-authorizer.ts'
import { RbacIndex } from '../auth/rbac/rbac-index.ts'
import type { ObjectCache } from './registry.ts'

export interface Permissions {
  /** system:masters, then nodes, then roles. */
  readonly authorizer: Authorizer
  readonly escalation: EscalationChecks
}

type CacheOf = (kind: Kind) => ObjectCache

/** Follows the caches, which are filled already, for as long as they live. */
export function openPermissions(cacheOf: CacheOf): Permissions {
  const index = rbacIndex(cacheOf)
  const rbac = rbacAuthorizer(index)
  const authorizer = chainOf([mastersAuthorizer, nodeAuthorizer(nodeGraph(cacheOf)), rbac])
  return {
    authorizer,
    escalation: {
      isAllowed: (user, { verb, resource, namespace, name }) => {
        const group = 'rbac.authorization.k8s.io'
        const asked = { group, resource, subresource: '', name, ...(namespace ? { namespace } : {}) }
        return authorizer.decide({ user, verb, path: '', resource: asked }).allowed
      },
      escalationOf: (user, namespace, rules) => escalationOf(user, rbac.rulesFor(user, namespace), rules),
      rulesOfRole(ref, namespace) {
        const rules = index.rulesOf(ref, namespace)
        if (!rules) throw notFound(ref.kind === 'ClusterRole' ? clusterRoleKind : roleKind, ref.name)
        return rules
      },
    },
  }
}

function rbacIndex(cacheOf: CacheOf): RbacIndex {
  const index = new RbacIndex()
  for (const kind of [roleKind, clusterRoleKind]) {
    mirror(cacheOf(kind as unknown as Kind), {
      put: (role) => index.putRole(role),
      remove: (role) => index.removeRole(role),
    })
  }
  for (const kind of [roleBindingKind, clusterRoleBindingKind]) {
    mirror(cacheOf(kind as unknown as Kind), {
      put: (binding) => index.putBinding(binding as Parameters<typeof index.putBinding>[0]),
      remove: (binding) => index.removeBinding(binding as Parameters<typeof index.removeBinding>[0]),
    })
  }
  return index
}

function nodeGraph(cacheOf: CacheOf): NodeGraph {
  const graph = new NodeGraph()
  mirror(cacheOf(podKind as unknown as Kind), {
    put: (pod) => graph.putPod(pod),
    remove: (pod) => graph.removePod(pod),
  })
  mirror(cacheOf(persistentVolumeKind as unknown as Kind), {
    put: (volume) => graph.putVolume(volume),
    remove: (volume) => graph.removeVolume(volume),
  })
  mirror(cacheOf(volumeAttachmentKind as unknown as Kind), {
    put: (attachment) => graph.putAttachment(attachment as Parameters<typeof graph.putAttachment>[0]),
    remove: (attachment) => graph.removeAttachment(attachment as Parameters<typeof graph.removeAttachment>[0]),
  })
  return graph
}

/** Tells of everything that is there, and then of every change, before the writer hears that it is done. */
function mirror(cache: ObjectCache, to: { put(object: KubeObject): void; remove(object: KubeObject): void }): void {
  for (const { value } of cache.list()) to.put(value)
  cache.follow(({ type, value }) => (type === 'put' ? to.put(value) : to.remove(value)))
}
