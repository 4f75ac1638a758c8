/** HorizontalPodAutoscalers. Source: k8s.io/kubernetes/pkg/apis/autoscaling/validation/validation.go. */
import { checkPathSegment } from '../names.ts'
import { parseQuantity } from '../quantity.ts'
import type { HorizontalPodAutoscaler } from '../types.ts'
import { allOf, eachItem, invalidValue, none, notAllowed, type Problem, required, unsupported } from './problem.ts'

type Spec = HorizontalPodAutoscaler['spec']
type Metric = NonNullable<Spec['metrics']>[number]
type Target = NonNullable<Metric['resource']>['target']
type Rules = NonNullable<NonNullable<Spec['behavior']>['scaleUp']>

/** What is wrong with a HorizontalPodAutoscaler. */
export function validateAutoscaler({ spec }: HorizontalPodAutoscaler): readonly Problem[] {
  const { minReplicas = 1, maxReplicas = 0, scaleTargetRef: target, metrics, behavior } = spec
  return allOf(
    minReplicas < 1 ? [invalidValue('spec.minReplicas', minReplicas, 'must be greater than or equal to 1')] : none,
    maxReplicas < 1 ? [invalidValue('spec.maxReplicas', maxReplicas, 'must be greater than 0')] : none,
    maxReplicas < minReplicas
      ? [invalidValue('spec.maxReplicas', maxReplicas, 'must be greater than or equal to `minReplicas`')]
      : none,
    validateReference(target, 'spec.scaleTargetRef'),
    eachItem(metrics, 'spec.metrics', validateMetric),
    behavior?.scaleUp ? validateRules(behavior.scaleUp, 'spec.behavior.scaleUp') : none,
    behavior?.scaleDown ? validateRules(behavior.scaleDown, 'spec.behavior.scaleDown') : none,
  )
}

function validateReference({ kind, name }: Spec['scaleTargetRef'], field: string): readonly Problem[] {
  const segment = (value: string, at: string) =>
    value ? checkPathSegment(value).map((reason) => invalidValue(at, value, reason)) : [required(at)]
  return allOf(segment(kind, `${field}.kind`), segment(name, `${field}.name`))
}

const sources: Readonly<Record<string, keyof Metric>> = {
  ContainerResource: 'containerResource',
  External: 'external',
  Object: 'object',
  Pods: 'pods',
  Resource: 'resource',
}

function validateMetric(metric: Metric, field: string): readonly Problem[] {
  const { type } = metric
  if (!type) return [required(`${field}.type`, 'must specify a metric source type')]
  const own = sources[type]
  if (!own) return [unsupported(`${field}.type`, type, Object.keys(sources))]
  const others = Object.values(sources).filter((name) => name !== own && metric[name] !== undefined)
  if (metric[own] === undefined) {
    return [required(`${field}.${own}`, `must populate information for the given metric source`)]
  }
  return allOf(
    others.map((name) => notAllowed(`${field}.${name}`, 'must populate the given metric source only')),
    validateSource(metric, own, `${field}.${own}`),
  )
}

function validateSource(metric: Metric, own: keyof Metric, field: string): readonly Problem[] {
  const { resource, containerResource, pods, object, external } = metric
  const named = resource ?? containerResource
  const measured = pods ?? object ?? external
  const target = (named ?? measured)?.target
  return allOf(
    named && !named.name ? [required(`${field}.name`, 'must specify a resource name')] : none,
    containerResource && !containerResource.container
      ? [required(`${field}.container`, 'must specify a container')]
      : none,
    measured && !measured.metric.name ? [required(`${field}.metric.name`, 'must specify a metric name')] : none,
    object ? validateReference(object.describedObject, `${field}.describedObject`) : none,
    target ? validateTarget(target, own, `${field}.target`) : [required(`${field}.target`)],
  )
}

function validateTarget(target: Target, own: keyof Metric, field: string): readonly Problem[] {
  const { type, value, averageValue, averageUtilization } = target
  const types = ['AverageValue', 'Utilization', 'Value']
  const ofType = types.includes(type)
    ? []
    : [
        type
          ? unsupported(`${field}.type`, type, types)
          : required(`${field}.type`, 'must specify a metric target type'),
      ]
  const isPositive = (amount: string) => parseQuantity(amount).nano > 0n
  const mayUse = own === 'resource' || own === 'containerResource'
  return allOf(
    ofType,
    value !== undefined && !isPositive(value) ? [invalidValue(`${field}.value`, value, 'must be positive')] : none,
    averageValue !== undefined && !isPositive(averageValue)
      ? [invalidValue(`${field}.averageValue`, averageValue, 'must be positive')]
      : none,
    averageUtilization !== undefined && averageUtilization < 1
      ? [invalidValue(`${field}.averageUtilization`, averageUtilization, 'must be greater than 0')]
      : none,
    mayUse && averageUtilization === undefined && averageValue === undefined
      ? [required(`${field}.averageUtilization`, 'must set either a target raw value or a target utilization')]
      : none,
    mayUse && averageUtilization !== undefined && averageValue !== undefined
      ? [notAllowed(`${field}.averageValue`, 'may not set both a target raw value and a target utilization')]
      : none,
  )
}

const longestPeriod = 1800
const longestWindow = 3600

function validateRules(
  { stabilizationWindowSeconds: window, selectPolicy, policies }: Rules,
  field: string,
): readonly Problem[] {
  const chosen = ['Disabled', 'Max', 'Min']
  return allOf(
    window !== undefined && window < 0
      ? [invalidValue(`${field}.stabilizationWindowSeconds`, window, 'must be greater than or equal to zero')]
      : none,
    window !== undefined && window > longestWindow
      ? [invalidValue(`${field}.stabilizationWindowSeconds`, window, `must be less than or equal to ${longestWindow}`)]
      : none,
    selectPolicy !== undefined && !chosen.includes(selectPolicy)
      ? [unsupported(`${field}.selectPolicy`, selectPolicy, chosen)]
      : none,
    policies?.length === 0 ? [required(`${field}.policies`, 'must specify at least one Policy')] : none,
    eachItem(policies, `${field}.policies`, ({ type, value, periodSeconds }, at) =>
      allOf(
        ['Percent', 'Pods'].includes(type) ? none : [unsupported(`${at}.type`, type, ['Percent', 'Pods'])],
        value > 0 ? none : [invalidValue(`${at}.value`, value, 'must be greater than zero')],
        periodSeconds > 0 ? none : [invalidValue(`${at}.periodSeconds`, periodSeconds, 'must be greater than zero')],
        periodSeconds > longestPeriod
          ? [invalidValue(`${at}.periodSeconds`, periodSeconds, `must be less than or equal to ${longestPeriod}`)]
          : none,
      ),
    ),
  )
}
