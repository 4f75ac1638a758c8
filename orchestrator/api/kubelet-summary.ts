/** The kubelet's `/stats/summary`, as far as it is told and read here. Source: k8s.io/kubelet/pkg/apis/stats/v1alpha1/types.go. */

export interface CpuStats {
  readonly time: string
  /** Cores now, in billionths: over the window of the whole answer. */
  readonly usageNanoCores: number
  /** CPU time since the beginning. */
  readonly usageCoreNanoSeconds: number
}

export interface MemoryStats {
  readonly time: string
  /** Only for the node. */
  readonly availableBytes?: number
  readonly usageBytes: number
  /** Without file cache that is not in active use. */
  readonly workingSetBytes: number
  readonly rssBytes?: number
}

export interface ContainerStats {
  readonly name: string
  readonly startTime: string
  readonly cpu: CpuStats
  readonly memory: MemoryStats
}

export interface PodStats {
  readonly podRef: { readonly name: string; readonly namespace: string; readonly uid: string }
  readonly startTime: string
  readonly containers: readonly ContainerStats[]
  readonly cpu: CpuStats
  readonly memory: MemoryStats
  readonly process_stats: { readonly process_count: number }
}

export interface Summary {
  readonly node: {
    readonly nodeName: string
    readonly startTime: string
    readonly cpu: CpuStats
    readonly memory: MemoryStats
  }
  readonly pods: readonly PodStats[]
  /** Ours alone: over how long `usageNanoCores` was measured. */
  readonly windowSeconds?: number
}
