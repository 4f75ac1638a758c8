import type { PolicyRule } from '../../api/types.ts'
import {
  authentication,
  authorization,
  certificates,
  coordination,
  discovery,
  read,
  resource,
  rule,
  storage,
} from './rules.ts'

/**
 * What a kubelet needs. As a role it is bound to nobody: the Node authorizer gives it, and less of it where a node has
 * no business with the others' objects. Source: `NodeRules` in k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy.
 */
export const nodeRules: readonly PolicyRule[] = [
  rule('create', authentication, 'tokenreviews'),
  rule('create', authorization, 'localsubjectaccessreviews subjectaccessreviews'),
  rule(read, 'core', 'services'),
  rule('create get list watch', 'core', 'nodes'),
  rule('patch update', 'core', 'nodes/status'),
  rule('patch update', 'core', 'nodes'),
  rule('create patch update', 'core', 'events'),
  rule(read, 'core', 'pods'),
  rule('create delete', 'core', 'pods'),
  rule('patch update', 'core', 'pods/status'),
  rule('create', 'core', 'pods/eviction'),
  rule(read, 'core', 'configmaps secrets'),
  rule('get', 'core', 'persistentvolumeclaims persistentvolumes'),
  rule('get', 'core', 'endpoints'),
  rule('create get list watch', certificates, 'certificatesigningrequests'),
  rule('create delete get patch update', coordination, 'leases'),
  rule('get', storage, 'volumeattachments'),
  rule('get patch update', 'core', 'persistentvolumeclaims/status'),
  rule('create', 'core', 'serviceaccounts/token'),
  rule(read, storage, 'csidrivers'),
  rule('create delete get patch update', storage, 'csinodes'),
  rule(read, 'node.k8s.io', 'runtimeclasses'),
  rule('get', resource, 'resourceclaims'),
  rule('deletecollection', resource, 'resourceslices'),
  rule('get', 'core', 'serviceaccounts'),
  // Our kubelet does kube-proxy's work, too.
  rule('list watch', discovery, 'endpointslices'),
  rule('list watch', 'core', 'endpoints namespaces'),
  rule('list watch', 'networking.k8s.io', 'networkpolicies'),
]
