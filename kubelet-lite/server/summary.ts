/** A measurement in the two forms in which kubelets are asked for it. */
import { uptime } from 'node:os'
import type { ContainerStats, CpuStats, MemoryStats, Summary } from '../../orchestrator/api/kubelet-summary.ts'
import type { Pod } from '../../orchestrator/api/types.ts'
import type { Measured, Measurement } from './usage-meter.ts'

/** GET /stats/summary. */
export function summaryOf(nodeName: string, measurement: Measurement): Summary {
  const { at, windowMs, node, pods } = measurement
  const time = timeOf(at)
  return {
    node: {
      nodeName,
      startTime: timeOf(at - uptime() * 1000),
      cpu: { time, usageNanoCores: node.nanoCores, usageCoreNanoSeconds: node.cpuNanoseconds },
      memory: {
        time,
        availableBytes: node.memoryAvailableBytes,
        usageBytes: node.memoryUsedBytes,
        workingSetBytes: node.memoryUsedBytes,
        rssBytes: node.memoryRssBytes,
      },
    },
    pods: pods.map(({ pod, whole, containers }) => ({
      podRef: referenceTo(pod),
      startTime: timeOf(whole.startedAt),
      containers: containers.map(
        (each): ContainerStats => ({ name: each.name, startTime: timeOf(each.startedAt), ...statsOf(each, time) }),
      ),
      ...statsOf(whole, time),
      process_stats: { process_count: whole.usage.processes },
    })),
    windowSeconds: windowMs / 1000,
  }
}

function statsOf({ usage, nanoCores }: Measured, time: string): { cpu: CpuStats; memory: MemoryStats } {
  return {
    cpu: { time, usageNanoCores: nanoCores, usageCoreNanoSeconds: usage.cpuNanoseconds },
    memory: {
      time,
      usageBytes: usage.memoryBytes,
      workingSetBytes: usage.memoryWorkingSetBytes,
      rssBytes: usage.memoryRssBytes,
    },
  }
}

function referenceTo({ metadata }: Pod) {
  return { name: metadata?.name ?? '', namespace: metadata?.namespace ?? '', uid: metadata?.uid ?? '' }
}

const timeOf = (milliseconds: number) => `${new Date(milliseconds).toISOString().slice(0, 19)}Z`

/**
 * GET /metrics/resource, which metrics-server reads: counters in seconds, memory in bytes.
 * Source: k8s.io/kubernetes/pkg/kubelet/metrics/collectors/resource_metrics.go.
 */
export function resourceMetrics({ at, node, pods }: Measurement): string {
  const ofPods = pods.map(({ pod, whole }) => ({ labels: podLabels(pod), of: whole }))
  const ofContainers = pods.flatMap(({ pod, containers }) =>
    containers.map((each) => ({ labels: `container="${each.name}",${podLabels(pod)}`, of: each })),
  )
  const seconds = ({ usage }: Measured) => usage.cpuNanoseconds / 1e9
  const bytes = ({ usage }: Measured) => usage.memoryWorkingSetBytes
  const family = (name: string, type: string, rows: readonly string[]) =>
    rows.length === 0 ? [] : [`# TYPE ${name} ${type}`, ...rows.map((row) => `${name}${row} ${at}`)]
  const each = (rows: readonly { labels: string; of: Measured }[], value: (of: Measured) => number) =>
    rows.map(({ labels, of }) => `{${labels}} ${value(of)}`)
  return `${[
    ...family('container_cpu_usage_seconds_total', 'counter', each(ofContainers, seconds)),
    ...family('container_memory_working_set_bytes', 'gauge', each(ofContainers, bytes)),
    ...family(
      'container_start_time_seconds',
      'gauge',
      each(ofContainers, ({ startedAt }) => startedAt / 1000),
    ),
    ...family('node_cpu_usage_seconds_total', 'counter', [` ${node.cpuNanoseconds / 1e9}`]),
    ...family('node_memory_working_set_bytes', 'gauge', [` ${node.memoryUsedBytes}`]),
    ...family('pod_cpu_usage_seconds_total', 'counter', each(ofPods, seconds)),
    ...family('pod_memory_working_set_bytes', 'gauge', each(ofPods, bytes)),
    '# TYPE scrape_error gauge',
    'scrape_error 0',
    '# TYPE resource_scrape_error gauge',
    'resource_scrape_error 0',
  ].join('\n')}\n`
}

const podLabels = (pod: Pod) => `namespace="${pod.metadata?.namespace}",pod="${pod.metadata?.name}"`
