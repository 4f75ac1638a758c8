/** LimitRange and ResourceQuota. Source: k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import { checkQualifiedName } from '../names.ts'
import { own } from '../own.ts'
import { compareQuantities, parseQuantity } from '../quantity.ts'
import type { LimitRange, ResourceQuota } from '../types.ts'
import {
  allOf,
  duplicate,
  eachItem,
  invalidName,
  invalidValue,
  none,
  notAllowed,
  type Problem,
  required,
} from './problem.ts'

type Limit = NonNullable<LimitRange['spec']>['limits'][number]
type Amounts = Readonly<Record<string, string>>

/** What is wrong with a LimitRange. */
export function validateLimitRange({ spec }: LimitRange): readonly Problem[] {
  const seen = new Set<string>()
  return eachItem(spec?.limits, 'spec.limits', (limit, field) => {
    const isRepeated = seen.has(limit.type)
    seen.add(limit.type)
    return allOf(validateLimit(limit, field), isRepeated ? [duplicate(`${field}.type`, limit.type)] : none)
  })
}

const bounds = ['max', 'min', 'default', 'defaultRequest', 'maxLimitRequestRatio'] as const

function validateLimit(limit: Limit, field: string): readonly Problem[] {
  const ofType = limit.type ? [] : [required(`${field}.type`)]
  const misplaced =
    limit.type === 'Pod'
      ? (['default', 'defaultRequest'] as const)
          .filter((name) => Object.keys(limit[name] ?? {}).length > 0)
          .map((name) => notAllowed(`${field}.${name}`, `may not be specified when \`type\` is 'Pod'`))
      : []
  const isBare = limit.type === 'PersistentVolumeClaim' && !limit.min?.storage && !limit.max?.storage
  const claim = isBare
    ? [required(`${field}.limits`, 'either minimum or maximum storage value is required, but neither was provided')]
    : []
  const names = new Set(bounds.flatMap((name) => Object.keys(limit[name] ?? {})))
  return allOf(
    ofType,
    misplaced,
    claim,
    [...names].flatMap((name) => validateOrder(limit, name, field)),
  )
}

/** min ≤ defaultRequest ≤ default ≤ max, and a ratio that these leave room for. */
function validateOrder(limit: Limit, name: string, field: string): readonly Problem[] {
  const at = (bound: (typeof bounds)[number]) => own(limit[bound] as Amounts | undefined, name)
  const order = [
    ['min', 'max', 'min', 'max'],
    ['min', 'defaultRequest', 'min', 'default request'],
    ['min', 'default', 'min', 'default'],
    ['defaultRequest', 'max', 'default request', 'max'],
    ['defaultRequest', 'default', 'default request', 'default limit'],
    ['default', 'max', 'default', 'max'],
  ] as const
  const problems = order.flatMap(([low, high, lowText, highText]): readonly Problem[] => {
    const [less, more] = [at(low), at(high)]
    if (less === undefined || more === undefined || compareQuantities(parseQuantity(less), parseQuantity(more)) <= 0)
      return []
    return [
      invalidValue(
        `${field}.${low}[${name}]`,
        less,
        `${lowText} value ${less} is greater than ${highText} value ${more}`,
      ),
    ]
  })
  const ratio = at('maxLimitRequestRatio')
  const one = parseQuantity('1')
  if (ratio !== undefined && compareQuantities(parseQuantity(ratio), one) < 0) {
    problems.push(invalidValue(`${field}.maxLimitRequestRatio[${name}]`, ratio, `ratio ${ratio} is less than 1`))
  }
  return problems
}

const scopes = [
  'BestEffort',
  'CrossNamespacePodAffinity',
  'NotBestEffort',
  'NotTerminating',
  'PriorityClass',
  'Terminating',
  'VolumeAttributesClass',
]

const plainNames = [
  'cpu',
  'memory',
  'ephemeral-storage',
  'pods',
  'services',
  'replicationcontrollers',
  'resourcequotas',
  'secrets',
  'configmaps',
  'persistentvolumeclaims',
]

/** What is wrong with a ResourceQuota. */
export function validateResourceQuota({ spec = {} }: ResourceQuota): readonly Problem[] {
  return allOf(
    validateAmounts(spec.hard, 'spec.hard'),
    eachItem(spec.scopes, 'spec.scopes', (scope, field) =>
      scopes.includes(scope) ? none : [invalidValue(field, scope, 'unsupported scope')],
    ),
    validateScopePairs(spec.scopes ?? []),
    eachItem(
      spec.scopeSelector?.matchExpressions,
      'spec.scopeSelector.matchExpressions',
      ({ scopeName, operator, values = [] }, field) =>
        allOf(
          scopes.includes(scopeName) ? none : [invalidValue(`${field}.scopeName`, scopeName, 'unsupported scope')],
          ['DoesNotExist', 'Exists', 'In', 'NotIn'].includes(operator)
            ? none
            : [invalidValue(`${field}.operator`, operator, 'not a valid selector operator')],
          ['In', 'NotIn'].includes(operator) && values.length === 0
            ? [
                required(
                  `${field}.values`,
                  "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
                ),
              ]
            : none,
        ),
    ),
  )
}

function validateScopePairs(used: readonly string[]): readonly Problem[] {
  const pairs = [
    ['BestEffort', 'NotBestEffort'],
    ['Terminating', 'NotTerminating'],
  ] as const
  return pairs
    .filter(([one, other]) => used.includes(one) && used.includes(other))
    .map(() => invalidValue('spec.scopes', used, 'conflicting scopes'))
}

/** Names that a quota can count, and amounts that are not negative. */
export function validateAmounts(amounts: Amounts | undefined, field: string): readonly Problem[] {
  return Object.entries(amounts ?? {}).flatMap(([name, amount]) => {
    const at = `${field}[${name}]`
    const quantity = parseQuantity(amount)
    return allOf(
      validateCountedName(name, at),
      quantity.nano < 0n ? [invalidValue(at, amount, 'must be greater than or equal to 0')] : none,
    )
  })
}

function validateCountedName(name: string, field: string): readonly Problem[] {
  const reasons = checkQualifiedName(name)
  if (reasons.length > 0) return invalidName(field, name, reasons)
  const isKnown =
    plainNames.includes(name) || name.includes('/') || /^(requests\.|limits\.|services\.|hugepages-)/.test(name)
  return isKnown ? [] : [invalidValue(field, name, 'must be a standard resource for quota')]
}

/** What an update of a ResourceQuota may not do: what was counted was counted by these. */
export function validateResourceQuotaUpdate({ spec }: ResourceQuota, old: ResourceQuota): readonly Problem[] {
  const sorted = (quota: ResourceQuota['spec']) => [...(quota?.scopes ?? [])].sort().join()
  return sorted(spec) === sorted(old.spec)
    ? []
    : [invalidValue('spec.scopes', spec?.scopes ?? null, 'field is immutable')]
}
