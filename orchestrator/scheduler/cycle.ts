import type { Decision, NodeInfo, Plugins, PodInfo } from './framework.ts'

/**
 * One pod, all nodes: every filter may refuse a node, every score rates what is left, the best sum wins; among equals
 * the one that `tieBreak` (0 ≤ x < 1) points at. Pure.
 */
export function decide(
  pod: PodInfo,
  nodes: readonly NodeInfo[],
  how: { plugins: Plugins; now: number; tieBreak: number },
): Decision {
  const { plugins } = how
  const refused = new Map<string, { plugin: string; reason: string }>()
  const scores = new Map<string, Record<string, number>>()
  for (const node of nodes) {
    const refusal = refuse(pod, node, plugins)
    if (refusal) refused.set(node.name, refusal)
    else scores.set(node.name, rate(pod, node, plugins))
  }
  const node = best(scores, how.tieBreak)
  const { uid = '', namespace = '', name = '' } = pod.pod.metadata ?? {}
  const about = { podUid: uid, pod: `${namespace}/${name}`, at: how.now, refused, scores }
  return node === undefined ? about : { ...about, node }
}

function refuse(pod: PodInfo, node: NodeInfo, { filters }: Plugins): { plugin: string; reason: string } | undefined {
  for (const plugin of filters) {
    const reason = plugin.filter(pod, node)
    if (reason !== undefined) return { plugin: plugin.name, reason }
  }
  return undefined
}

function rate(pod: PodInfo, node: NodeInfo, { scores }: Plugins): Record<string, number> {
  return Object.fromEntries(scores.map((plugin) => [plugin.name, plugin.weight * plugin.score(pod, node)]))
}

function best(scores: ReadonlyMap<string, Readonly<Record<string, number>>>, tieBreak: number): string | undefined {
  const sums = [...scores].map(
    ([name, each]) => [name, Object.values(each).reduce((sum, score) => sum + score, 0)] as const,
  )
  const most = Math.max(...sums.map(([, sum]) => sum))
  const equals = sums.filter(([, sum]) => sum === most)
  return equals[Math.floor(tieBreak * equals.length)]?.[0]
}

/** The event's message when no node would do: `0/3 nodes are available: 2 Insufficient cpu, 1 node(s) were unschedulable.` */
export function explainFailure(decision: Decision): string {
  const counts = new Map<string, number>()
  for (const { reason } of decision.refused.values()) {
    for (const each of reason.split(', ')) counts.set(each, (counts.get(each) ?? 0) + 1)
  }
  const total = decision.refused.size
  if (total === 0) return 'no nodes available to schedule pods'
  const reasons = [...counts].map(([reason, count]) => `${count} ${reason}`).sort()
  return `0/${total} nodes are available: ${reasons.join(', ')}.`
}

/** A decision as plain JSON: who asked, where it went, what each node was worth or why it was refused. */
export function explained({ pod, podUid, at, node, refused, scores }: Decision): Record<string, unknown> {
  return {
    pod,
    uid: podUid,
    at: new Date(at).toISOString(),
    node: node ?? null,
    scores: Object.fromEntries(scores),
    refused: Object.fromEntries(refused),
  }
}
