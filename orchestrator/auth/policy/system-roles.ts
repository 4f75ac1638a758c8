/** Roles for the parts of a cluster. Source: k8s.io/kubernetes/plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go. */
import type { PolicyRule } from '../../api/types.ts'
import { nodeRules } from './node-rules.ts'
import {
  authentication,
  authorization,
  certificates,
  coordination,
  discovery,
  eventsRule,
  networking,
  read,
  readWrite,
  resource,
  rule,
  storage,
} from './rules.ts'

const accessChecks = [
  rule('create', authentication, 'tokenreviews'),
  rule('create', authorization, 'subjectaccessreviews'),
]

const lease = (name: string, verbs: string) => [
  rule('create', coordination, 'leases'),
  rule(verbs, coordination, 'leases', name),
]

/** Rules by the name of their role. */
export const systemRoles: Readonly<Record<string, readonly PolicyRule[]>> = {
  'system:node': nodeRules,
  'system:node-problem-detector': [rule('get', 'core', 'nodes'), rule('patch', 'core', 'nodes/status'), eventsRule],
  'system:node-bootstrapper': [rule('create get list watch', certificates, 'certificatesigningrequests')],
  'system:node-proxier': [
    rule('list watch', 'core', 'endpoints services'),
    rule('get list watch', 'core', 'nodes'),
    eventsRule,
    rule('list watch', discovery, 'endpointslices'),
    rule('list watch', networking, 'servicecidrs'),
  ],
  'system:kubelet-api-admin': [
    rule(read, 'core', 'nodes'),
    rule('proxy', 'core', 'nodes'),
    rule('*', 'core', 'nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats'),
  ],
  'system:auth-delegator': accessChecks,
  'system:heapster': [rule(read, 'core', 'events namespaces nodes pods'), rule(read, 'extensions', 'deployments')],
  'system:kube-aggregator': [rule(read, 'core', 'endpoints services')],
  'system:kube-dns': [rule('list watch', 'core', 'endpoints services')],
  'system:kube-scheduler': [
    eventsRule,
    ...lease('kube-scheduler', 'get list update watch'),
    rule(readWrite, coordination, 'leasecandidates'),
    rule(read, 'core', 'nodes'),
    rule('delete get list watch', 'core', 'pods'),
    rule('create', 'core', 'bindings pods/binding'),
    rule('patch update', 'core', 'pods/status'),
    rule(read, 'core', 'replicationcontrollers services'),
    rule(read, 'apps,extensions', 'replicasets'),
    rule(read, 'apps', 'statefulsets'),
    rule(read, 'policy', 'poddisruptionbudgets'),
    rule(read, 'core', 'persistentvolumeclaims persistentvolumes'),
    ...accessChecks,
    rule(read, storage, 'csinodes'),
    rule(read, 'core', 'namespaces'),
    rule(read, storage, 'csidrivers'),
    rule(read, storage, 'csistoragecapacities'),
    rule(read, storage, 'volumeattachments'),
    rule(read, resource, 'deviceclasses resourceslices'),
    rule('get list patch update watch', resource, 'resourceclaims resourceclaims/status'),
    rule('get list patch update watch', 'core', 'pods/finalizers'),
  ],
  'system:volume-scheduler': [
    rule('get list patch update watch', 'core', 'persistentvolumes'),
    rule(read, storage, 'storageclasses'),
    rule('get list patch update watch', 'core', 'persistentvolumeclaims'),
  ],
  'system:kube-controller-manager': [
    eventsRule,
    ...lease('kube-controller-manager', 'get update'),
    rule('create', 'core', 'secrets serviceaccounts'),
    rule('delete', 'core', 'secrets'),
    rule('get', 'core', 'configmaps namespaces secrets serviceaccounts'),
    rule('update', 'core', 'secrets serviceaccounts'),
    ...accessChecks,
    rule('list watch', '*', '*'),
    rule('create', 'core', 'serviceaccounts/token'),
  ],
  'system:persistent-volume-provisioner': [
    rule('create delete get list watch', 'core', 'persistentvolumes'),
    rule('get list update watch', 'core', 'persistentvolumeclaims'),
    rule(read, storage, 'storageclasses'),
    rule('watch', 'core', 'events'),
    eventsRule,
  ],
  ...certificateRoles(),
}

function certificateRoles(): Readonly<Record<string, readonly PolicyRule[]>> {
  const prefix = 'system:certificates.k8s.io'
  const requester = (kind: string) => [rule('create', certificates, `certificatesigningrequests/${kind}`)]
  const approver = (signer: string) => [rule('approve', certificates, 'signers', `kubernetes.io/${signer}`)]
  const signers = ['kube-apiserver-client', 'kube-apiserver-client-kubelet', 'kubelet-serving', 'legacy-unknown']
  return {
    [`${prefix}:certificatesigningrequests:nodeclient`]: requester('nodeclient'),
    [`${prefix}:certificatesigningrequests:selfnodeclient`]: requester('selfnodeclient'),
    ...Object.fromEntries(signers.map((signer) => [`${prefix}:${signer}-approver`, approver(signer)])),
  }
}
