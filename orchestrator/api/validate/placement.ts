/** What a pod says about its nodes. Source: k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import { checkLabelValue, checkQualifiedName } from '../names.ts'
import type { PodSpec } from '../types.ts'
import { validateLabels } from './metadata.ts'
import { allOf, eachItem, invalidName, invalidValue, none, type Problem, required, unsupported } from './problem.ts'
import { validateCount } from './selector.ts'

type Toleration = NonNullable<PodSpec['tolerations']>[number]
type NodeAffinity = NonNullable<NonNullable<PodSpec['affinity']>['nodeAffinity']>
type Term = NonNullable<NodeAffinity['requiredDuringSchedulingIgnoredDuringExecution']>['nodeSelectorTerms'][number]
type Expression = NonNullable<Term['matchExpressions']>[number]
type Spread = NonNullable<PodSpec['topologySpreadConstraints']>[number]

/** What is wrong with tolerations, node selectors, affinity and spreading. */
export function validatePlacement(spec: PodSpec): readonly Problem[] {
  return allOf(
    validateLabels(spec.nodeSelector, 'spec.nodeSelector'),
    eachItem(spec.tolerations, 'spec.tolerations', validateToleration),
    validateNodeAffinity(spec.affinity?.nodeAffinity, 'spec.affinity.nodeAffinity'),
    eachItem(spec.topologySpreadConstraints, 'spec.topologySpreadConstraints', validateSpread),
  )
}

const effects = ['NoExecute', 'NoSchedule', 'PreferNoSchedule']

function validateToleration(toleration: Toleration, field: string): readonly Problem[] {
  const { key, operator = 'Equal', value, effect, tolerationSeconds } = toleration
  return allOf(
    key ? invalidName(`${field}.key`, key, checkQualifiedName(key)) : none,
    !key && operator !== 'Exists'
      ? [
          invalidValue(
            `${field}.operator`,
            operator,
            'operator must be Exists when `key` is empty, which means "match all values and all keys"',
          ),
        ]
      : none,
    tolerationSeconds !== undefined && effect !== 'NoExecute'
      ? [invalidValue(`${field}.effect`, effect ?? '', "effect must be 'NoExecute' when `tolerationSeconds` is set")]
      : none,
    operator === 'Exists' && value
      ? [invalidValue(`${field}.operator`, value, "value must be empty when `operator` is 'Exists'")]
      : none,
    operator === 'Equal' ? invalidName(`${field}.operator`, value ?? '', checkLabelValue(value ?? '')) : none,
    operator !== 'Exists' && operator !== 'Equal'
      ? [unsupported(`${field}.operator`, operator, ['Equal', 'Exists'])]
      : none,
    effect && !effects.includes(effect) ? [unsupported(`${field}.effect`, effect, effects)] : none,
  )
}

function validateNodeAffinity(affinity: NodeAffinity | undefined, field: string): readonly Problem[] {
  const must = affinity?.requiredDuringSchedulingIgnoredDuringExecution
  const prefer = affinity?.preferredDuringSchedulingIgnoredDuringExecution
  const at = `${field}.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms`
  return allOf(
    must && must.nodeSelectorTerms.length === 0 ? [required(at, 'must have at least one node selector term')] : none,
    eachItem(must?.nodeSelectorTerms, at, validateTerm),
    eachItem(prefer, `${field}.preferredDuringSchedulingIgnoredDuringExecution`, ({ weight, preference }, each) =>
      allOf(
        weight >= 1 && weight <= 100 ? none : [invalidValue(`${each}.weight`, weight, 'must be in the range 1-100')],
        validateTerm(preference, `${each}.preference`),
      ),
    ),
  )
}

function validateTerm({ matchExpressions, matchFields }: Term, field: string): readonly Problem[] {
  return allOf(
    eachItem(matchExpressions, `${field}.matchExpressions`, (expression, at) =>
      allOf(
        validateExpression(expression, at),
        invalidName(`${at}.key`, expression.key, checkQualifiedName(expression.key)),
      ),
    ),
    eachItem(matchFields, `${field}.matchFields`, ({ key }, at) =>
      key === 'metadata.name' ? none : [invalidValue(`${at}.key`, key, 'not a valid field selector key')],
    ),
  )
}

const operators = ['DoesNotExist', 'Exists', 'Gt', 'In', 'Lt', 'NotIn']

function validateExpression({ operator, values = [] }: Expression, field: string): readonly Problem[] {
  const problems = validateCount(operator, values, field)
  if (problems) return problems
  if (operator !== 'Gt' && operator !== 'Lt') return [unsupported(`${field}.operator`, operator, operators)]
  return values.length === 1
    ? []
    : [required(`${field}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'")]
}

const unsatisfiable = ['DoNotSchedule', 'ScheduleAnyway']

function validateSpread({ maxSkew, topologyKey, whenUnsatisfiable }: Spread, field: string): readonly Problem[] {
  return allOf(
    maxSkew > 0 ? none : [invalidValue(`${field}.maxSkew`, maxSkew, 'must be greater than 0')],
    topologyKey
      ? invalidName(`${field}.topologyKey`, topologyKey, checkQualifiedName(topologyKey))
      : [required(`${field}.topologyKey`, 'can not be empty')],
    unsatisfiable.includes(whenUnsatisfiable)
      ? none
      : [unsupported(`${field}.whenUnsatisfiable`, whenUnsatisfiable, unsatisfiable)],
  )
}
