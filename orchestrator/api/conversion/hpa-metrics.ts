/** Metrics of autoscaling/v2 in the flat shape that autoscaling/v1 keeps in annotations, and back. */
import type { HorizontalPodAutoscaler, LabelSelector } from '../types.ts'

type Spec = NonNullable<HorizontalPodAutoscaler['spec']>
type Status = NonNullable<HorizontalPodAutoscaler['status']>
type Metric = NonNullable<Spec['metrics']>[number]
type Current = NonNullable<Status['currentMetrics']>[number]
type Target = NonNullable<Metric['resource']>['target']
type Value = NonNullable<Current['resource']>['current']
type Reference = NonNullable<Metric['object']>['describedObject']

interface FlatSource {
  name?: string
  container?: string
  metricName?: string
  selector?: LabelSelector
  metricSelector?: LabelSelector
  target?: Reference
  targetValue?: string
  averageValue?: string
  targetAverageValue?: string
  targetAverageUtilization?: number
}

interface FlatValue {
  name?: string
  container?: string
  metricName?: string
  selector?: LabelSelector
  metricSelector?: LabelSelector
  target?: Reference
  currentValue?: string
  averageValue?: string
  currentAverageValue?: string
  currentAverageUtilization?: number
}

interface Flat<Source> {
  type: string
  resource?: Source
  containerResource?: Source
  pods?: Source
  object?: Source
  external?: Source
}

/** autoscaling/v1 MetricSpec. */
export type FlatMetric = Flat<FlatSource>
/** autoscaling/v1 MetricStatus. */
export type FlatStatus = Flat<FlatValue>

/** Without what is not set. */
function set<T extends object>(fields: { [Field in keyof T]: T[Field] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
}

/** A metric of v2 in v1's shape. */
export function flatMetric(metric: Metric): FlatMetric {
  const { type, resource, containerResource, pods, object, external } = metric
  return set<FlatMetric>({
    type,
    resource: resource && { name: resource.name, ...usageTarget(resource.target) },
    containerResource: containerResource && {
      name: containerResource.name,
      container: containerResource.container,
      ...usageTarget(containerResource.target),
    },
    pods:
      pods &&
      set<FlatSource>({
        metricName: pods.metric.name,
        selector: pods.metric.selector,
        targetAverageValue: pods.target.averageValue,
      }),
    object:
      object &&
      set<FlatSource>({
        target: object.describedObject,
        metricName: object.metric.name,
        selector: object.metric.selector,
        targetValue: object.target.value,
        averageValue: object.target.averageValue,
      }),
    external:
      external &&
      set<FlatSource>({
        metricName: external.metric.name,
        metricSelector: external.metric.selector,
        targetValue: external.target.value,
        targetAverageValue: external.target.averageValue,
      }),
  })
}

function usageTarget({ averageUtilization, averageValue }: Target): FlatSource {
  return set<FlatSource>({ targetAverageUtilization: averageUtilization, targetAverageValue: averageValue })
}

/** A metric of v1 in v2's shape. */
export function metricOf({ type, resource, containerResource, pods, object, external }: FlatMetric): Metric {
  return set<Metric>({
    type,
    resource: resource && { name: resource.name ?? '', target: targetOf(resource) },
    containerResource: containerResource && {
      name: containerResource.name ?? '',
      container: containerResource.container ?? '',
      target: targetOf(containerResource),
    },
    pods: pods && { metric: named(pods), target: targetOf(pods) },
    object: object && {
      describedObject: object.target ?? { kind: '', name: '' },
      metric: named(object),
      target: targetOf(object),
    },
    external: external && { metric: named(external), target: targetOf(external) },
  })
}

const named = ({ metricName = '', selector, metricSelector }: FlatSource | FlatValue) => {
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

/** A measurement of v2 in v1's shape. */
export function flatStatus({ type, resource, containerResource, pods, object, external }: Current): FlatStatus {
  return set<FlatStatus>({
    type,
    resource: resource && { name: resource.name, ...usageValue(resource.current) },
    containerResource: containerResource && {
      name: containerResource.name,
      container: containerResource.container,
      ...usageValue(containerResource.current),
    },
    pods:
      pods &&
      set<FlatValue>({
        metricName: pods.metric.name,
        selector: pods.metric.selector,
        currentAverageValue: pods.current.averageValue,
      }),
    object:
      object &&
      set<FlatValue>({
        target: object.describedObject,
        metricName: object.metric.name,
        selector: object.metric.selector,
        currentValue: object.current.value,
        averageValue: object.current.averageValue,
      }),
    external:
      external &&
      set<FlatValue>({
        metricName: external.metric.name,
        metricSelector: external.metric.selector,
        currentValue: external.current.value,
        currentAverageValue: external.current.averageValue,
      }),
  })
}

function usageValue({ averageUtilization, averageValue }: Value): FlatValue {
  return set<FlatValue>({ currentAverageUtilization: averageUtilization, currentAverageValue: averageValue })
}

/** A measurement of v1 in v2's shape. */
export function statusOf({ type, resource, containerResource, pods, object, external }: FlatStatus): Current {
  return set<Current>({
    type,
    resource: resource && { name: resource.name ?? '', current: currentOf(resource) },
    containerResource: containerResource && {
      name: containerResource.name ?? '',
      container: containerResource.container ?? '',
      current: currentOf(containerResource),
    },
    pods: pods && { metric: named(pods), current: currentOf(pods) },
    object: object && {
      describedObject: object.target ?? { kind: '', name: '' },
      metric: named(object),
      current: currentOf(object),
    },
    external: external && { metric: named(external), current: currentOf(external) },
  })
}

function currentOf({ currentAverageUtilization, currentAverageValue, averageValue, currentValue }: FlatValue): Value {
  return set<Value>({
    averageUtilization: currentAverageUtilization,
    averageValue: currentAverageValue ?? averageValue,
    value: currentValue,
  })
}
