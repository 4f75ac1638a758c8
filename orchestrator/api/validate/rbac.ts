/** Roles and bindings. Source: k8s.io/kubernetes/pkg/apis/rbac/validation/validation.go. */
import { isEqual } from '../equal.ts'
import { checkDnsSubdomain, checkPathSegment } from '../names.ts'
import type { ClusterRole, ClusterRoleBinding, PolicyRule, RbacSubject, Role, RoleBinding } from '../types.ts'
import { allOf, eachItem, invalidName, invalidValue, none, type Problem, required, unsupported } from './problem.ts'
import { validateSelector } from './selector.ts'

export const rbacGroup = 'rbac.authorization.k8s.io'

/** What is wrong with a Role. */
export function validateRole({ rules }: Role): readonly Problem[] {
  return eachItem(rules, 'rules', (rule, field) => validateRule(rule, true, field))
}

/** What is wrong with a ClusterRole. */
export function validateClusterRole({ rules, aggregationRule }: ClusterRole): readonly Problem[] {
  const selectors = aggregationRule?.clusterRoleSelectors
  const field = 'aggregationRule.clusterRoleSelectors'
  return allOf(
    eachItem(rules, 'rules', (rule, at) => validateRule(rule, false, at)),
    aggregationRule && !selectors?.length
      ? [required(field, 'at least one clusterRoleSelector required if aggregationRule is non-nil')]
      : none,
    eachItem(selectors, field, (selector, at) => validateSelector(selector, at)),
  )
}

function validateRule(rule: PolicyRule, isNamespaced: boolean, field: string): readonly Problem[] {
  const { verbs = [], apiGroups = [], resources = [], nonResourceURLs = [], resourceNames = [] } = rule
  const ofVerbs = verbs.length > 0 ? [] : [required(`${field}.verbs`, 'verbs must contain at least one value')]
  if (nonResourceURLs.length > 0) {
    const isBoth = apiGroups.length + resources.length + resourceNames.length > 0
    const text = isNamespaced
      ? 'namespaced rules cannot apply to non-resource URLs'
      : 'rules cannot apply to both regular resources and non-resource URLs'
    return isNamespaced || isBoth
      ? [...ofVerbs, invalidValue(`${field}.nonResourceURLs`, nonResourceURLs, text)]
      : ofVerbs
  }
  const one = (name: string, text: string) =>
    required(`${field}.${name}`, `resource rules must supply at least one ${text}`)
  return allOf(
    ofVerbs,
    apiGroups.length > 0 ? none : [one('apiGroups', 'api group')],
    resources.length > 0 ? none : [one('resources', 'resource')],
  )
}

/** What is wrong with a RoleBinding. */
export function validateRoleBinding({ roleRef, subjects }: RoleBinding): readonly Problem[] {
  return allOf(validateRoleRef(roleRef, ['ClusterRole', 'Role']), validateSubjects(subjects, true))
}

/** What is wrong with a ClusterRoleBinding. */
export function validateClusterRoleBinding({ roleRef, subjects }: ClusterRoleBinding): readonly Problem[] {
  return allOf(validateRoleRef(roleRef, ['ClusterRole']), validateSubjects(subjects, false))
}

function validateRoleRef(
  { apiGroup, kind, name }: RoleBinding['roleRef'],
  kinds: readonly string[],
): readonly Problem[] {
  return allOf(
    apiGroup === rbacGroup ? none : [unsupported('roleRef.apiGroup', apiGroup, [rbacGroup])],
    kinds.includes(kind) ? none : [unsupported('roleRef.kind', kind, kinds)],
    name ? invalidName('roleRef.name', name, checkPathSegment(name)) : [required('roleRef.name')],
  )
}

function validateSubjects(subjects: readonly RbacSubject[] | undefined, isNamespaced: boolean): readonly Problem[] {
  return eachItem(subjects, 'subjects', (subject, field) => validateSubject(subject, isNamespaced, field))
}

function validateSubject(subject: RbacSubject, isNamespaced: boolean, field: string): readonly Problem[] {
  const { kind, name, namespace, apiGroup = '' } = subject
  const ofName = name ? [] : [required(`${field}.name`)]
  const ofGroup = (wanted: string) =>
    apiGroup === wanted ? [] : [unsupported(`${field}.apiGroup`, apiGroup, [wanted])]
  switch (kind) {
    case 'ServiceAccount':
      return allOf(
        ofName,
        name ? invalidName(`${field}.name`, name, checkDnsSubdomain(name)) : none,
        ofGroup(''),
        isNamespaced || namespace ? none : [required(`${field}.namespace`)],
      )
    case 'User':
    case 'Group':
      return allOf(ofName, ofGroup(rbacGroup))
    default:
      return [...ofName, unsupported(`${field}.kind`, kind, ['Group', 'ServiceAccount', 'User'])]
  }
}

/** A binding to another role is another binding: whoever may change one may not necessarily grant the other. */
export function validateBindingUpdate(binding: RoleBinding, old: RoleBinding): readonly Problem[] {
  return isEqual(binding.roleRef, old.roleRef)
    ? []
    : [invalidValue('roleRef', binding.roleRef, 'cannot change roleRef')]
}
