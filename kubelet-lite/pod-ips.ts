import type { Pod } from '../orchestrator/api/types.ts'

/** The addresses under which a pod is reached: its sandbox's own, or the node's for a pod in the node's network. */
export function podIPs({ spec }: Pod, sandbox: { ips: readonly string[] } | undefined, nodeIP: string): string[] {
  return spec?.hostNetwork ? [nodeIP] : [...(sandbox?.ips ?? [])]
}
