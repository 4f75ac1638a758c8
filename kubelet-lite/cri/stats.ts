/** CRI PodSandboxStats from the runtime's groups. */
import type { ContainerState, Runtime } from '../../runtime/index.ts'
import { annotationsOf, containerOf, isSandbox } from './records.ts'
import type { PodUsage, Usage } from './types.ts'

/** What the pod of these records uses; undefined when none of its sandboxes runs. */
export async function podUsage(runtime: Runtime, states: readonly ContainerState[]): Promise<PodUsage | undefined> {
  const sandbox = states.find((state) => isSandbox(state) && state.status === 'running')
  if (!sandbox) return undefined
  const running = states.filter((state) => !isSandbox(state) && state.status === 'running')
  const containers = await Promise.all(
    running.map(async (state) => {
      const { name, startedAt, createdAt } = await containerOf(state)
      return { name, startedAt: startedAt ?? createdAt, usage: usageOf(await runtime.stats(state.id)) }
    }),
  )
  return {
    startedAt: Date.parse(sandbox.createdAt),
    usage: usageOf(await runtime.groupStats(annotationsOf(sandbox).podCgroup)),
    containers,
  }
}

function usageOf(stats: Awaited<ReturnType<Runtime['stats']>>): Usage {
  return {
    cpuNanoseconds: stats.cpuUsageNanoseconds,
    memoryBytes: stats.memoryUsageBytes,
    memoryWorkingSetBytes: stats.memoryWorkingSetBytes,
    memoryRssBytes: stats.memoryRssBytes,
    processes: stats.pids,
  }
}
