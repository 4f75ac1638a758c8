/** PriorityClass and RuntimeClass. Source: k8s.io/kubernetes/pkg/apis/{scheduling,node}/validation/validation.go. */
import { isEqual } from '../equal.ts'
import { checkDnsLabel } from '../names.ts'
import { parseQuantity } from '../quantity.ts'
import type { PriorityClass, RuntimeClass } from '../types.ts'
import { validateLabels } from './metadata.ts'
import { allOf, invalidName, invalidValue, none, notAllowed, type Problem, unsupported } from './problem.ts'

/** Users' priorities are below. */
const highestOfUsers = 1_000_000_000

/** The two classes that every cluster has. */
const systemClasses: Readonly<Record<string, number>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
}

const policies = ['Never', 'PreemptLowerPriority']

/** What is wrong with a PriorityClass. */
export function validatePriorityClass({
  metadata,
  value,
  preemptionPolicy: policy,
}: PriorityClass): readonly Problem[] {
  const name = metadata?.name ?? ''
  return allOf(
    validateValue(name, value),
    policy !== undefined && !policies.includes(policy) ? [unsupported('preemptionPolicy', policy, policies)] : none,
  )
}

function validateValue(name: string, value = 0): readonly Problem[] {
  if (!name.startsWith('system-')) {
    return value > highestOfUsers
      ? [notAllowed('value', `maximum allowed value of a user defined priority is ${highestOfUsers}`)]
      : []
  }
  if (Object.hasOwn(systemClasses, name) && systemClasses[name] === value) return []
  return [
    notAllowed(
      'metadata.name',
      "priority class names with 'system-' prefix are reserved for system use only. error: not a known system priority class",
    ),
  ]
}

/** What an update of a PriorityClass may not do: pods have its value already. */
export function validatePriorityClassUpdate(next: PriorityClass, old: PriorityClass): readonly Problem[] {
  return allOf(
    next.value === old.value ? none : [notAllowed('value', 'may not be changed in an update.')],
    next.preemptionPolicy === old.preemptionPolicy
      ? none
      : [invalidValue('preemptionPolicy', next.preemptionPolicy ?? null, 'field is immutable')],
  )
}

/** What is wrong with a RuntimeClass. */
export function validateRuntimeClass({ handler, overhead, scheduling }: RuntimeClass): readonly Problem[] {
  const amounts = Object.entries(overhead?.podFixed ?? {})
  return allOf(
    invalidName('handler', handler, checkDnsLabel(handler)),
    amounts
      .filter(([, amount]) => parseQuantity(amount).nano < 0n)
      .map(([name, amount]) =>
        invalidValue(`overhead.podFixed[${name}]`, amount, 'must be greater than or equal to 0'),
      ),
    validateLabels(scheduling?.nodeSelector, 'scheduling.nodeSelector'),
  )
}

/** What an update of a RuntimeClass may not do. */
export function validateRuntimeClassUpdate(next: RuntimeClass, old: RuntimeClass): readonly Problem[] {
  return isEqual(next.handler, old.handler) ? [] : [invalidValue('handler', next.handler, 'field is immutable')]
}
