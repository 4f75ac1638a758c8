import type { Node, Pod } from '../../api/types.ts'
import type { FilterPlugin } from '../framework.ts'

type Term = NonNullable<
  NonNullable<
    NonNullable<NonNullable<Pod['spec']>['affinity']>['nodeAffinity']
  >['requiredDuringSchedulingIgnoredDuringExecution']
>['nodeSelectorTerms'][number]
type Requirement = NonNullable<Term['matchExpressions']>[number]

const mismatch = "node(s) didn't match Pod's node affinity/selector"

/** Refuses a node that `nodeSelector` or the required node affinity does not choose. */
export const nodeAffinity: FilterPlugin = {
  name: 'NodeAffinity',
  filter({ pod }, { node }) {
    const labels = (node.metadata?.labels ?? {}) as Record<string, string>
    const selector = Object.entries((pod.spec?.nodeSelector ?? {}) as Record<string, string>)
    if (!selector.every(([key, value]) => labels[key] === value)) return mismatch
    const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution
    if (!required) return undefined
    // Terms are alternatives; inside a term all requirements must hold; an empty term chooses nothing.
    return required.nodeSelectorTerms.some((term) => chooses(term, node, labels)) ? undefined : mismatch
  },
}

function chooses(term: Term, node: Node, labels: Readonly<Record<string, string>>): boolean {
  const expressions = term.matchExpressions ?? []
  const fields = term.matchFields ?? []
  if (expressions.length === 0 && fields.length === 0) return false
  const field = { 'metadata.name': node.metadata?.name ?? '' }
  return expressions.every((each) => holds(each, labels)) && fields.every((each) => holds(each, field))
}

function holds(requirement: Requirement, labels: Readonly<Record<string, string>>): boolean {
  const value = labels[requirement.key]
  const values = requirement.values ?? []
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && values.includes(value)
    case 'NotIn':
      return value === undefined || !values.includes(value)
    case 'Exists':
      return value !== undefined
    case 'DoesNotExist':
      return value === undefined
    case 'Gt':
      return value !== undefined && Number(value) > Number(values[0])
    case 'Lt':
      return value !== undefined && Number(value) < Number(values[0])
    default:
      return false
  }
}
