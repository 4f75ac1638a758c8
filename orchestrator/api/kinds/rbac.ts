import { checkPathSegment } from '../names.ts'
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from '../types.ts'
import { inGroup } from './define.ts'

const strategy = { checkName: checkPathSegment }

const rbac = inGroup('rbac.authorization.k8s.io', 'v1', 'io.k8s.api.rbac.v1.')

export const clusterRoleKind = rbac<ClusterRole>({
  kind: 'ClusterRole',
  resource: 'clusterroles',
  namespaced: false,
  strategy,
})

export const clusterRoleBindingKind = rbac<ClusterRoleBinding>({
  kind: 'ClusterRoleBinding',
  resource: 'clusterrolebindings',
  namespaced: false,
  strategy,
})

export const roleKind = rbac<Role>({ kind: 'Role', resource: 'roles', namespaced: true, strategy })

export const roleBindingKind = rbac<RoleBinding>({
  kind: 'RoleBinding',
  resource: 'rolebindings',
  namespaced: true,
  strategy,
})
