/** Manifests for the tests, as kubectl takes them: JSON. */
import type { Container, Pod, PodSpec } from '../../orchestrator/api/types.ts'

export const busybox = 'coracle.local/busybox:1'

/** A container that runs a shell script. */
export function shell(script: string, more: Partial<Container> = {}): Container {
  return { name: 'main', image: busybox, command: ['sh', '-c', script], ...more }
}

/** A pod of one container, which is told to end within a second. */
export function aPod(name: string, container: Container, more: Partial<PodSpec> = {}): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name },
    spec: { terminationGracePeriodSeconds: 1, containers: [container], ...more },
  }
}

export function listOf(...items: readonly object[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
}

/** A container that runs until it is told to end, and then ends at once. */
export const untilTold = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
