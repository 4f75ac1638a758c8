import { checkPathSegment } from '../names.ts'
import { bindingPrinter, createdAtPrinter } from '../print/cluster.ts'
import type { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from '../types.ts'
import {
  validateBindingUpdate,
  validateClusterRole,
  validateClusterRoleBinding,
  validateRole,
  validateRoleBinding,
} from '../validate/rbac.ts'
import { inGroup } from './define.ts'

const rbac = inGroup('rbac.authorization.k8s.io', 'v1', 'io.k8s.api.rbac.v1.')

/** Source: k8s.io/kubernetes/pkg/apis/rbac/v1/defaults.go. */
function setBindingDefaults({ roleRef, subjects }: RoleBinding | ClusterRoleBinding): void {
  roleRef.apiGroup ||= 'rbac.authorization.k8s.io'
  for (const subject of subjects ?? []) {
    if (subject.kind === 'ServiceAccount') continue
    subject.apiGroup ||= 'rbac.authorization.k8s.io'
  }
}

export const clusterRoleKind = rbac<ClusterRole>({
  kind: 'ClusterRole',
  resource: 'clusterroles',
  printer: createdAtPrinter,
  namespaced: false,
  strategy: { checkName: checkPathSegment, validate: validateClusterRole },
})

export const clusterRoleBindingKind = rbac<ClusterRoleBinding>({
  kind: 'ClusterRoleBinding',
  resource: 'clusterrolebindings',
  printer: bindingPrinter,
  namespaced: false,
  strategy: {
    checkName: checkPathSegment,
    setDefaults: setBindingDefaults,
    validate: validateClusterRoleBinding,
    validateUpdate: validateBindingUpdate,
  },
})

export const roleKind = rbac<Role>({
  kind: 'Role',
  resource: 'roles',
  printer: createdAtPrinter,
  namespaced: true,
  strategy: { checkName: checkPathSegment, validate: validateRole },
})

export const roleBindingKind = rbac<RoleBinding>({
  kind: 'RoleBinding',
  resource: 'rolebindings',
  printer: bindingPrinter,
  namespaced: true,
  strategy: {
    checkName: checkPathSegment,
    setDefaults: setBindingDefaults,
    validate: validateRoleBinding,
    validateUpdate: validateBindingUpdate,
  },
})
