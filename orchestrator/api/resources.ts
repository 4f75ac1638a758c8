import type {
  ClusterRole,
  ClusterRoleBinding,
  ConfigMap,
  EndpointSlice,
  Endpoints,
  Event,
  KubeObject,
  Lease,
  Namespace,
  Node,
  Pod,
  ResourceRef,
  Role,
  RoleBinding,
  RuntimeClass,
  Secret,
  Service,
  ServiceAccount,
} from './types.ts'

function core<T extends KubeObject>(resource: string, kind: string, namespaced = true): ResourceRef<T> {
  return { group: '', version: 'v1', resource, kind, namespaced }
}

function grouped<T extends KubeObject>(
  group: string,
  resource: string,
  kind: string,
  namespaced = true,
): ResourceRef<T> {
  return { group, version: 'v1', resource, kind, namespaced }
}

const rbac = 'rbac.authorization.k8s.io'

/** Typed names of the resources that our own components ask for. */
export const resources = {
  namespaces: core<Namespace>('namespaces', 'Namespace', false),
  nodes: core<Node>('nodes', 'Node', false),
  pods: core<Pod>('pods', 'Pod'),
  events: core<Event>('events', 'Event'),
  configMaps: core<ConfigMap>('configmaps', 'ConfigMap'),
  secrets: core<Secret>('secrets', 'Secret'),
  serviceAccounts: core<ServiceAccount>('serviceaccounts', 'ServiceAccount'),
  services: core<Service>('services', 'Service'),
  endpoints: core<Endpoints>('endpoints', 'Endpoints'),
  endpointSlices: grouped<EndpointSlice>('discovery.k8s.io', 'endpointslices', 'EndpointSlice'),
  runtimeClasses: grouped<RuntimeClass>('node.k8s.io', 'runtimeclasses', 'RuntimeClass', false),
  leases: grouped<Lease>('coordination.k8s.io', 'leases', 'Lease'),
  roles: grouped<Role>(rbac, 'roles', 'Role'),
  roleBindings: grouped<RoleBinding>(rbac, 'rolebindings', 'RoleBinding'),
  clusterRoles: grouped<ClusterRole>(rbac, 'clusterroles', 'ClusterRole', false),
  clusterRoleBindings: grouped<ClusterRoleBinding>(rbac, 'clusterrolebindings', 'ClusterRoleBinding', false),
} as const
