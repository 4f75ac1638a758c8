/**
 * Types that are served and that the OpenAPI document lacks: versions that Kubernetes has removed and that kubectl 1.20
 * still asks for, said as differences to the version that replaced them, and those of metrics.k8s.io.
 * Source: the type files of k8s.io/api (0.25 for autoscaling/v2beta2, 0.36 for the others) and of k8s.io/metrics.
 */
import type { Definition, Schema } from '../schema/schema.ts'

interface OlderVersion {
  readonly group: string
  readonly version: string
  readonly from: string
  readonly to: string
  readonly types: readonly string[]
}

const older: readonly OlderVersion[] = [
  {
    group: 'policy',
    version: 'v1beta1',
    from: 'io.k8s.api.policy.v1.',
    to: 'io.k8s.api.policy.v1beta1.',
    types: [
      'Eviction',
      'PodDisruptionBudget',
      'PodDisruptionBudgetList',
      'PodDisruptionBudgetSpec',
      'PodDisruptionBudgetStatus',
    ],
  },
  {
    group: 'batch',
    version: 'v1beta1',
    from: 'io.k8s.api.batch.v1.',
    to: 'io.k8s.api.batch.v1beta1.',
    types: ['CronJob', 'CronJobList', 'CronJobSpec', 'CronJobStatus', 'JobTemplateSpec'],
  },
  {
    group: 'discovery.k8s.io',
    version: 'v1beta1',
    from: 'io.k8s.api.discovery.v1.',
    to: 'io.k8s.api.discovery.v1beta1.',
    types: [
      'Endpoint',
      'EndpointConditions',
      'EndpointHints',
      'EndpointPort',
      'EndpointSlice',
      'EndpointSliceList',
      'ForNode',
      'ForZone',
    ],
  },
  {
    group: 'networking.k8s.io',
    version: 'v1beta1',
    from: 'io.k8s.api.networking.v1.',
    to: 'io.k8s.api.networking.v1beta1.',
    types: [
      'HTTPIngressPath',
      'HTTPIngressRuleValue',
      'Ingress',
      'IngressBackend',
      'IngressClass',
      'IngressClassList',
      'IngressClassParametersReference',
      'IngressClassSpec',
      'IngressList',
      'IngressLoadBalancerIngress',
      'IngressLoadBalancerStatus',
      'IngressPortStatus',
      'IngressRule',
      'IngressSpec',
      'IngressStatus',
      'IngressTLS',
    ],
  },
  {
    group: 'autoscaling',
    version: 'v2beta2',
    from: 'io.k8s.api.autoscaling.v2.',
    to: 'io.k8s.api.autoscaling.v2beta2.',
    types: [
      'ContainerResourceMetricSource',
      'ContainerResourceMetricStatus',
      'CrossVersionObjectReference',
      'ExternalMetricSource',
      'ExternalMetricStatus',
      'HPAScalingPolicy',
      'HPAScalingRules',
      'HorizontalPodAutoscaler',
      'HorizontalPodAutoscalerBehavior',
      'HorizontalPodAutoscalerCondition',
      'HorizontalPodAutoscalerList',
      'HorizontalPodAutoscalerSpec',
      'HorizontalPodAutoscalerStatus',
      'MetricIdentifier',
      'MetricSpec',
      'MetricStatus',
      'MetricTarget',
      'MetricValueStatus',
      'ObjectMetricSource',
      'ObjectMetricStatus',
      'PodsMetricSource',
      'PodsMetricStatus',
      'ResourceMetricSource',
      'ResourceMetricStatus',
    ],
  },
]

/** Fields that had another name, another type, or were not there (null). */
const differences: Readonly<Record<string, Record<string, string | null>>> = {
  'io.k8s.api.discovery.v1beta1.Endpoint': { deprecatedTopology: null, zone: null, topology: '{}string' },
  'io.k8s.api.networking.v1beta1.IngressSpec': {
    defaultBackend: null,
    backend: 'io.k8s.api.networking.v1beta1.IngressBackend',
  },
  'io.k8s.api.networking.v1beta1.IngressBackend': {
    service: null,
    serviceName: 'string',
    servicePort: 'io.k8s.apimachinery.pkg.util.intstr.IntOrString',
  },
  'io.k8s.api.autoscaling.v2beta2.HPAScalingRules': { tolerance: null },
}

/** What was optional in the older version. */
const optional: Readonly<Record<string, readonly string[]>> = {
  'io.k8s.api.networking.v1beta1.HTTPIngressPath': ['pathType'],
}

/** The older versions, made from the newer ones in `schema`. */
export function olderVersions(schema: Schema): Schema {
  const made: Schema = {}
  for (const version of older) {
    for (const type of version.types) {
      const definition = schema[version.from + type]
      if (!definition) throw new Error(`make an older version: there is no ${version.from}${type}`)
      made[version.to + type] = olderDefinition(version, definition, version.to + type)
    }
  }
  return made
}

function olderDefinition(version: OlderVersion, newer: Definition, name: string): Definition {
  const { group, version: ofKind } = version
  const kinds = newer.kinds?.map(({ kind }) => ({ group, version: ofKind, kind }))
  const fields: Record<string, unknown> = { ...newer.fields }
  for (const [field, type] of Object.entries(differences[name] ?? {})) {
    if (type === null) delete fields[field]
    else fields[field] = type
  }
  const required = newer.required?.filter((field) => !optional[name]?.includes(field))
  const definition = { ...newer, ...(kinds ? { kinds } : {}), ...(required ? { required } : {}), fields }
  return JSON.parse(JSON.stringify(definition), (_key, value) =>
    typeof value === 'string' ? renamed(version, value) : value,
  )
}

/** A type's name, also behind `[]` or `{}`. */
function renamed({ from, to, types }: OlderVersion, value: string): string {
  const at = value.indexOf(from)
  if (at < 0 || !types.includes(value.slice(at + from.length))) return value
  return value.replace(from, to)
}

const metrics = 'io.k8s.metrics.pkg.apis.metrics.v1beta1.'
const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1.'
const quantities = '{}io.k8s.apimachinery.pkg.api.resource.Quantity'
const typeMeta = { apiVersion: 'string', kind: 'string' }
const measured = { timestamp: `${meta}Time`, window: `${meta}Duration` }

function metricsKind(kind: string, fields: Record<string, string>): Schema {
  const kinds = (name: string) => [{ group: 'metrics.k8s.io', version: 'v1beta1', kind: name }]
  return {
    [metrics + kind]: {
      kinds: kinds(kind),
      required: ['timestamp', 'window', ...Object.keys(fields)],
      fields: { ...typeMeta, metadata: `${meta}ObjectMeta`, ...measured, ...fields },
    },
    [`${metrics}${kind}List`]: {
      kinds: kinds(`${kind}List`),
      required: ['items'],
      fields: { ...typeMeta, metadata: `${meta}ListMeta`, items: `[]${metrics}${kind}` },
    },
  }
}

/** metrics.k8s.io/v1beta1: NodeMetrics and PodMetrics. */
export const metricsTypes: Schema = {
  [`${meta}Duration`]: { scalar: 'string' },
  [`${metrics}ContainerMetrics`]: { required: ['name', 'usage'], fields: { name: 'string', usage: quantities } },
  ...metricsKind('NodeMetrics', { usage: quantities }),
  ...metricsKind('PodMetrics', { containers: `[]${metrics}ContainerMetrics` }),
}
