/** Nodes, Leases, Events and Namespaces. Source: k8s.io/kubernetes/pkg/apis/{core,coordination}/validation/validation.go. */
import { checkLabelValue, checkQualifiedName } from '../names.ts'
import type { Event, Lease, Node } from '../types.ts'
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
  unsupported,
} from './problem.ts'

const effects = ['NoExecute', 'NoSchedule', 'PreferNoSchedule']

/** What is wrong with a node. */
export function validateNode({ spec, status }: Node): readonly Problem[] {
  const seen = new Set<string>()
  return allOf(
    eachItem(spec?.taints, 'spec.taints', ({ key, value = '', effect }, field) => {
      const id = `${key}:${effect}`
      const repeated = seen.has(id) ? [duplicate(field, id)] : []
      seen.add(id)
      return allOf(
        invalidName(`${field}.key`, key, checkQualifiedName(key)),
        invalidName(`${field}.value`, value, checkLabelValue(value)),
        effect
          ? effects.includes(effect)
            ? none
            : [unsupported(`${field}.effect`, effect, effects)]
          : [required(`${field}.effect`)],
        repeated,
      )
    }),
    eachItem(status?.addresses, 'status.addresses', ({ type, address }, field) =>
      allOf(type ? none : [required(`${field}.type`)], address ? none : [required(`${field}.address`)]),
    ),
  )
}

/** What an update of a node may not do. */
export function validateNodeUpdate({ spec = {} }: Node, old: Node): readonly Problem[] {
  const before = old.spec ?? {}
  return (['podCIDR', 'providerID'] as const).flatMap((name) => {
    if (!before[name] || before[name] === spec[name]) return []
    return [notAllowed(`spec.${name}`, `node updates may not change ${name} except from "" to valid`)]
  })
}

/** What is wrong with a lease. */
export function validateLease({ spec = {} }: Lease): readonly Problem[] {
  const { leaseDurationSeconds, leaseTransitions } = spec
  return allOf(
    leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0
      ? [invalidValue('spec.leaseDurationSeconds', leaseDurationSeconds, 'must be greater than 0')]
      : none,
    leaseTransitions !== undefined && leaseTransitions < 0
      ? [invalidValue('spec.leaseTransitions', leaseTransitions, 'must be greater than or equal to 0')]
      : none,
  )
}

/** What is wrong with an event: it lies where its object lies, or in `default` for an object of the cluster. */
export function validateEvent({ involvedObject, metadata, type }: Event): readonly Problem[] {
  const { namespace = '' } = involvedObject ?? {}
  const home = namespace === '' ? ['default', 'kube-system'] : [namespace]
  return allOf(
    home.includes(metadata.namespace ?? '')
      ? none
      : [invalidValue('involvedObject.namespace', namespace, 'does not match event.namespace')],
    type === undefined || type === '' || type === 'Normal' || type === 'Warning'
      ? none
      : [invalidValue('type', type, `has invalid value: ${type}`)],
  )
}
