/** Metrics of autoscaling/v2 in the flat shape that autoscaling/v1 keeps in annotations, and back. */
import type { HorizontalPodAutoscaler, LabelSelector } from '../types.ts'

type Spec = NonNullable<HorizontalPodAutoscaler['spec']>
type Status = NonNullable<HorizontalPodAutoscaler['status']>
type Metric = NonNullable<Spec['metrics']>[number]
type Current = NonNullable<Status['currentMetrics']>[number]
type Target = NonNullable<Metric['resource']>['target']
type Value = NonNullable<Current['resource']>['current']
type Reference = NonNullable<Metric['object']>['describedObject']

/** What is wanted or was measured, under the names of v1. */
interface FlatSource {
  name?: string
  container?: string
  metricName?: string
  selector?: LabelSelector
  metricSelector?: LabelSelector
  target?: Reference
  averageValue?: string
  targetValue?: string
  targetAverageValue?: string
  targetAverageUtilization?: number
  currentValue?: string
  currentAverageValue?: string
  currentAverageUtilization?: number
}

interface Flat {
  type: string
  resource?: FlatSource
  containerResource?: FlatSource
  pods?: FlatSource
  object?: FlatSource
  external?: FlatSource
}

/** autoscaling/v1 MetricSpec. */
export type FlatMetric = Flat
/** autoscaling/v1 MetricStatus. */
export type FlatStatus = Flat

/** A metric of v2 in v1's shape. */
export function flatMetric(metric: Metric): FlatMetric {
  return flatten(metric, {
    value: 'targetValue',
    average: 'targetAverageValue',
    utilization: 'targetAverageUtilization',
  })
}

/** A measurement of v2 in v1's shape. */
export function flatStatus(current: Current): FlatStatus {
  return flatten(current, {
    value: 'currentValue',
    average: 'currentAverageValue',
    utilization: 'currentAverageUtilization',
  })
}

/** A metric of v1 in v2's shape. */
export function metricOf(flat: FlatMetric): Metric {
  return unfold(flat, (source) => ({ target: targetOf(source) }))
}

/** A measurement of v1 in v2's shape. */
export function statusOf(flat: FlatStatus): Current {
  return unfold(flat, (source) => ({ current: currentOf(source) }))
}

/** Without what is not set. */
function set<T extends object>(fields: { [Field in keyof T]: T[Field] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
}

/** What v1 calls the three amounts. */
type Names = Readonly<Record<'value' | 'average' | 'utilization', keyof FlatSource>>

function flatten(source: Metric | Current, { value, average, utilization }: Names): Flat {
  const { type, resource, containerResource, pods, object, external } = source
  const usageOf = (each: { target: Target } | { current: Value }) => {
    const { averageUtilization, averageValue } = amountsOf(each)
    return { [utilization]: averageUtilization, [average]: averageValue }
  }
  return set<Flat>({
    type,
    resource: resource && set<FlatSource>({ name: resource.name, ...usageOf(resource) }),
    containerResource:
      containerResource &&
      set<FlatSource>({
        name: containerResource.name,
        container: containerResource.container,
        ...usageOf(containerResource),
      }),
    pods:
      pods &&
      set<FlatSource>({
        metricName: pods.metric.name,
        selector: pods.metric.selector,
        [average]: amountsOf(pods).averageValue,
      }),
    object:
      object &&
      set<FlatSource>({
        target: object.describedObject,
        metricName: object.metric.name,
        selector: object.metric.selector,
        [value]: amountsOf(object).value,
        averageValue: amountsOf(object).averageValue,
      }),
    external:
      external &&
      set<FlatSource>({
        metricName: external.metric.name,
        metricSelector: external.metric.selector,
        [value]: amountsOf(external).value,
        [average]: amountsOf(external).averageValue,
      }),
  })
}

const amountsOf = (source: { target: Target } | { current: Value }): Value =>
  'target' in source ? source.target : source.current

function unfold<Amounts extends { target: Target } | { current: Value }>(
  { type, resource, containerResource, pods, object, external }: Flat,
  amountsIn: (source: FlatSource) => Amounts,
) {
  const nameIn = ({ name = '' }: FlatSource) => ({ name })
  return {
    type,
    ...(resource ? { resource: { ...nameIn(resource), ...amountsIn(resource) } } : {}),
    ...(containerResource
      ? {
          containerResource: {
            ...nameIn(containerResource),
            container: containerResource.container ?? '',
            ...amountsIn(containerResource),
          },
        }
      : {}),
    ...(pods ? { pods: { metric: named(pods), ...amountsIn(pods) } } : {}),
    ...(object
      ? {
          object: {
            describedObject: object.target ?? { kind: '', name: '' },
            metric: named(object),
            ...amountsIn(object),
          },
        }
      : {}),
    ...(external ? { external: { metric: named(external), ...amountsIn(external) } } : {}),
  }
}

const named = ({ metricName = '', selector, metricSelector }: FlatSource) => {
  const labels = selector ?? metricSelector
  return { name: metricName, ...(labels ? { selector: labels } : {}) }
}

function targetOf({ targetAverageUtilization, targetAverageValue, averageValue, targetValue }: FlatSource): Target {
  const average = targetAverageValue ?? averageValue
  if (targetAverageUtilization !== undefined)
    return { type: 'Utilization', averageUtilization: targetAverageUtilization }
  if (average !== undefined) return { type: 'AverageValue', averageValue: average }
  return set<Target>({ type: 'Value', value: targetValue })
}

function currentOf({ currentAverageUtilization, currentAverageValue, averageValue, currentValue }: FlatSource): Value {
  return set<Value>({
    averageUtilization: currentAverageUtilization,
    averageValue: currentAverageValue ?? averageValue,
    value: currentValue,
  })
}
