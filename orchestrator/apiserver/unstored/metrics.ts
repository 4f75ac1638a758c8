/** metrics.k8s.io: what nodes and pods use now, as their kubelets measure it when somebody asks. */
import type { Kind } from '../../api/kinds/kind.ts'
import { nodeKind } from '../../api/kinds/node.ts'
import { podKind } from '../../api/kinds/pod.ts'
import { apiVersionOf } from '../../api/kinds/table.ts'
import type { CpuStats, MemoryStats, Summary } from '../../api/kubelet-summary.ts'
import { notFound } from '../../api/status.ts'
import type { KubeObject, Node, Pod } from '../../api/types.ts'
import { listAnswer, objectAnswer } from '../answer.ts'
import { askKubelet } from '../kubelet-proxy.ts'
import { listQueryOf } from '../query.ts'
import { type Selection, selectionOf } from '../selection.ts'
import type { Serving } from '../serving.ts'
import { kubeletAddressOf } from '../verbs/connect.ts'
import type { UnstoredHandler, UnstoredRequest } from './unstored.ts'

/** A kubelet that does not answer in time is left out: its node and pods have no metrics. */
const patienceMs = 10_000
/** What a kubelet is taken to measure over that does not say it. */
const usualWindowSeconds = 30

export const answerNodeMetrics: UnstoredHandler = async (serving, request) => {
  const wanted = wantedBy(request)
  const nodes = nodesOf(serving).filter((node) => wanted.matches(node))
  const measured = await summariesOf(serving, nodes)
  const items = measured.map(([node, summary]) => ({
    ...headOf(request.kind, node, summary),
    usage: usageOf(summary.node),
  }))
  return answer(serving, request, items)
}

export const answerPodMetrics: UnstoredHandler = async (serving, request) => {
  const wanted = wantedBy(request)
  const { namespace } = request.info
  const pods = valuesOf<Pod>(serving, podKind as unknown as Kind).filter(
    (pod) => (namespace === undefined || pod.metadata?.namespace === namespace) && wanted.matches(pod),
  )
  const hosts = new Set(pods.map(({ spec }) => spec?.nodeName))
  const measured = await summariesOf(
    serving,
    nodesOf(serving).filter(({ metadata }) => hosts.has(metadata?.name)),
  )
  const byUid = new Map(
    measured.flatMap(([, summary]) => summary.pods.map((stats) => [stats.podRef.uid, { stats, summary }] as const)),
  )
  const items = pods.flatMap((pod) => {
    const found = byUid.get(pod.metadata?.uid ?? '')
    if (!found || found.stats.containers.length === 0) return []
    const containers = found.stats.containers.map((each) => ({ name: each.name, usage: usageOf(each) }))
    return [{ ...headOf(request.kind, pod, found.summary), containers }]
  })
  return answer(serving, request, items)
}

/** Whose metrics are asked for: the selectors speak of the nodes and pods themselves. */
function wantedBy({ kind, info, incoming }: UnstoredRequest): Selection {
  if (info.verb === 'list') return selectionOf(kind, listQueryOf(incoming.query))
  return { isEverything: false, matches: ({ metadata }) => metadata?.name === info.name }
}

function answer({ registry }: Serving, { kind, info, presentation }: UnstoredRequest, items: readonly KubeObject[]) {
  if (info.verb === 'list') return listAnswer(kind, { items, revision: registry.broadcaster.revision }, presentation)
  const [only] = items
  if (!only) throw notFound(kind, info.name)
  return objectAnswer(kind, only, { ...presentation, status: 200 })
}

const nodesOf = (serving: Serving) => valuesOf<Node>(serving, nodeKind as unknown as Kind)

function valuesOf<T extends KubeObject>({ registry }: Serving, kind: Kind): T[] {
  return registry
    .cacheOf(kind)
    .list()
    .map(({ value }) => value as T)
}

async function summariesOf({ access, log }: Serving, nodes: readonly Node[]): Promise<[Node, Summary][]> {
  const asked = nodes.map(async (node): Promise<[Node, Summary][]> => {
    try {
      const target = { ...kubeletAddressOf(node), path: '/stats/summary' }
      return [[node, JSON.parse(await askKubelet(target, access, { patienceMs })) as Summary]]
    } catch (error) {
      log.debug(`no metrics of node ${node.metadata?.name}`, { error })
      return []
    }
  })
  return (await Promise.all(asked)).flat()
}

function headOf(kind: Kind, { metadata }: KubeObject, { node, windowSeconds = usualWindowSeconds }: Summary) {
  const { name, namespace, labels } = metadata ?? {}
  return {
    kind: kind.kind,
    apiVersion: apiVersionOf(kind),
    metadata: {
      ...(name ? { name } : {}),
      ...(namespace ? { namespace } : {}),
      creationTimestamp: node.cpu.time,
      ...(labels ? { labels } : {}),
    },
    timestamp: node.cpu.time,
    window: `${windowSeconds}s`,
  }
}

function usageOf({ cpu, memory }: { cpu: CpuStats; memory: MemoryStats }) {
  return { cpu: `${cpu.usageNanoCores}n`, memory: `${Math.ceil(memory.workingSetBytes / 1024)}Ki` }
}
