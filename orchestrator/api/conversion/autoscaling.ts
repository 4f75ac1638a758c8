/**
 * HorizontalPodAutoscaler: autoscaling/v2 is stored. v1 knows the use of CPU alone: everything else is kept in its
 * annotations, in v1's own shape of metrics, so that a client of v1 loses nothing.
 * Source: k8s.io/kubernetes/pkg/apis/autoscaling/v1/conversion.go.
 */
import type { HorizontalPodAutoscaler, HorizontalPodAutoscalerV1, KubeObject } from '../types.ts'
import { type FlatMetric, type FlatStatus, flatMetric, flatStatus, metricOf, statusOf } from './hpa-metrics.ts'

const prefix = 'autoscaling.alpha.kubernetes.io/'
const annotations = {
  metrics: `${prefix}metrics`,
  currentMetrics: `${prefix}current-metrics`,
  conditions: `${prefix}conditions`,
  behavior: `${prefix}behavior`,
}

type Spec = NonNullable<HorizontalPodAutoscaler['spec']>
type Status = NonNullable<HorizontalPodAutoscaler['status']>
type Metric = NonNullable<Spec['metrics']>[number]
type Current = NonNullable<Status['currentMetrics']>[number]

/** The use of CPU in percent, which v1 has a field for. */
const isCpuUse = ({ type, resource }: Metric) =>
  type === 'Resource' && resource?.name === 'cpu' && resource.target.averageUtilization !== undefined

const isCurrentCpuUse = ({ type, resource }: Current) =>
  type === 'Resource' && resource?.name === 'cpu' && resource.current.averageUtilization !== undefined

/** As autoscaling/v1 shows it. */
export function hpaV1FromV2(object: KubeObject): HorizontalPodAutoscalerV1 {
  const { spec, status, metadata, ...rest } = object as HorizontalPodAutoscaler
  const kept: Record<string, unknown> = {}
  const made = { ...rest } as HorizontalPodAutoscalerV1
  if (spec) made.spec = specFromV2(spec, kept)
  if (status) made.status = statusFromV2(status, kept)
  const texts = Object.entries(kept).map(([name, value]) => [name, JSON.stringify(value)])
  const all = { ...metadata?.annotations, ...Object.fromEntries(texts) }
  if (metadata) made.metadata = { ...metadata, ...(Object.keys(all).length === 0 ? {} : { annotations: all }) }
  return made
}

function specFromV2({ metrics = [], behavior, ...rest }: Spec, kept: Record<string, unknown>) {
  const cpu = metrics.find(isCpuUse)
  const others = metrics.filter((metric) => metric !== cpu).map(flatMetric)
  if (others.length > 0) kept[annotations.metrics] = others
  if (behavior) kept[annotations.behavior] = behavior
  const percent = cpu?.resource?.target.averageUtilization
  return { ...rest, ...(percent === undefined ? {} : { targetCPUUtilizationPercentage: percent }) }
}

function statusFromV2({ currentMetrics, conditions, ...rest }: Status, kept: Record<string, unknown>) {
  const cpu = currentMetrics?.find(isCurrentCpuUse)
  const others = (currentMetrics ?? []).filter((metric) => metric !== cpu).map(flatStatus)
  if (others.length > 0) kept[annotations.currentMetrics] = others
  if (conditions && conditions.length > 0) kept[annotations.conditions] = conditions
  const percent = cpu?.resource?.current.averageUtilization
  return {
    ...rest,
    currentReplicas: rest.currentReplicas ?? 0,
    ...(percent === undefined ? {} : { currentCPUUtilizationPercentage: percent }),
  }
}

/** As it is stored. */
export function hpaV1ToV2(object: KubeObject): HorizontalPodAutoscaler {
  const { spec, status, metadata, ...rest } = object as HorizontalPodAutoscalerV1
  const kept = metadata?.annotations ?? {}
  const made = { ...rest } as HorizontalPodAutoscaler
  if (spec) made.spec = specToV2(spec, kept)
  if (status) made.status = statusToV2(status, kept)
  if (!metadata) return made
  const ours = Object.values(annotations)
  const left = Object.entries(kept).filter(([name]) => !ours.includes(name))
  const { annotations: _, ...others } = metadata
  made.metadata = { ...others, ...(left.length === 0 ? {} : { annotations: Object.fromEntries(left) }) }
  return made
}

type Kept = Readonly<Record<string, string>>

function specToV2(spec: NonNullable<HorizontalPodAutoscalerV1['spec']>, kept: Kept): Spec {
  const { targetCPUUtilizationPercentage: percent, ...rest } = spec
  const cpu: Metric[] =
    percent === undefined
      ? []
      : [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percent } } }]
  const metrics = [...cpu, ...listOf<FlatMetric>(kept[annotations.metrics]).map(metricOf)]
  const behavior = jsonOf(kept[annotations.behavior]) as Spec['behavior']
  return { ...rest, ...(metrics.length === 0 ? {} : { metrics }), ...(behavior ? { behavior } : {}) }
}

function statusToV2(status: NonNullable<HorizontalPodAutoscalerV1['status']>, kept: Kept): Status {
  const { currentCPUUtilizationPercentage: percent, ...rest } = status
  const cpu: Current[] =
    percent === undefined
      ? []
      : [{ type: 'Resource', resource: { name: 'cpu', current: { averageUtilization: percent } } }]
  const currentMetrics = [...cpu, ...listOf<FlatStatus>(kept[annotations.currentMetrics]).map(statusOf)]
  const conditions = listOf<NonNullable<Status['conditions']>[number]>(kept[annotations.conditions])
  return {
    ...rest,
    ...(currentMetrics.length === 0 ? {} : { currentMetrics }),
    ...(conditions.length === 0 ? {} : { conditions }),
  } as Status
}

/** An annotation that somebody else wrote is no reason to fail: it says nothing then. */
function jsonOf(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function listOf<T>(text: string | undefined): T[] {
  const value = jsonOf(text)
  const isObject = (item: unknown): item is T => typeof item === 'object' && item !== null
  return Array.isArray(value) ? value.filter(isObject) : []
}

/** As autoscaling/v2beta2 shows it: it knew no tolerance. */
export function hpaV2beta2FromV2(object: KubeObject): KubeObject {
  const hpa = object as HorizontalPodAutoscaler
  const { scaleUp, scaleDown } = hpa.spec?.behavior ?? {}
  if (!hpa.spec || (scaleUp?.tolerance === undefined && scaleDown?.tolerance === undefined)) return hpa
  const behavior = {
    ...(scaleUp ? { scaleUp: withoutTolerance(scaleUp) } : {}),
    ...(scaleDown ? { scaleDown: withoutTolerance(scaleDown) } : {}),
  }
  return { ...hpa, spec: { ...hpa.spec, behavior } } as KubeObject
}

function withoutTolerance<T extends { tolerance?: string }>({ tolerance: _, ...rest }: T) {
  return rest
}

/** As it is stored. */
export function hpaV2beta2ToV2(object: KubeObject): KubeObject {
  return object
}
