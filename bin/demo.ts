/** What `npm start` shows: one manifest on its way from a file to a running process. */
import { readFile } from 'node:fs/promises'
import { parseAllDocuments } from 'yaml'
import { resources } from '../orchestrator/api/resources.ts'
import type { KubeObject, Pod, ResourceRef } from '../orchestrator/api/types.ts'
import type { ApiClient } from '../orchestrator/client/api-client.ts'
import { httpsClient } from '../orchestrator/client/https-client.ts'
import { systemClock as clock } from '../runtime/base/clock.ts'
import { CoracleError, hasCode } from '../runtime/base/errors.ts'
import type { CgroupStats } from '../runtime/index.ts'
import type { DataDir } from './data-dir.ts'
import type { RunningNode } from './node.ts'
import type { Steps } from './steps.ts'

export interface DemoOptions {
  file: string
  directory: DataDir
  steps: Steps
  /** Gives up when aborted. */
  signal: AbortSignal
}

const runningTimeoutMs = 60_000

export async function demo(node: RunningNode, options: DemoOptions): Promise<void> {
  const { file, steps, directory, signal } = options
  // By the way that every client takes: HTTPS, with a certificate.
  const client = httpsClient({ server: node.server.url, caPem: node.server.pki.caPem, user: node.admin })
  try {
    await show(node, client, { file, steps, directory, signal })
  } finally {
    client.close()
  }
}

async function show(
  node: RunningNode,
  client: ApiClient,
  { file, steps, directory, signal }: DemoOptions,
): Promise<void> {
  const objects = await steps.step(
    `apply ${file}`,
    () => apply(client, file),
    (all) => all.map(nameOf).join(', '),
  )
  const pod = objects.find((each) => each.kind === 'Pod')
  if (!pod) return
  const running = await steps.step(
    'pod is Running',
    () => untilRunning(client, pod, signal),
    (it) => `IP ${it.status?.podIP}`,
  )
  const id = running.status?.containerStatuses?.[0]?.containerID?.replace('coracle://', '') ?? ''
  await steps.step(
    'its log',
    () => firstLogLine(node, id, signal),
    (line) => line,
  )
  await steps.step(
    'its cgroup',
    () => node.runtime.stats(id),
    (stats) => describe(stats),
  )
  steps.line('')
  steps.line(`Try next, in another terminal, after 'export KUBECONFIG=${directory.kubeconfig}':`)
  const { name } = pod.metadata ?? {}
  const commands = [
    `kubectl get pod ${name} -o wide`,
    `curl http://${running.status?.podIP}:8080/`,
    `kubectl exec -it ${name} -- node -p 'process.version'`,
    `kubectl logs -f ${name}`,
  ]
  for (const command of commands) steps.line(`  ${command}`)
  steps.line('Ctrl-C stops the node and leaves the pods running.')
}

const nameOf = (object: KubeObject) => `${object.kind?.toLowerCase()}/${object.metadata?.name}`

/** Creates what is not there yet; what is there stays as it is. */
async function apply(client: ApiClient, file: string): Promise<KubeObject[]> {
  const objects = parseAllDocuments(await readFile(file, 'utf8')).map((document) => document.toJS() as KubeObject)
  const refs = Object.values(resources) as ResourceRef<KubeObject>[]
  for (const object of objects) {
    const resource = refs.find((each) => each.kind === object.kind)
    if (!resource) throw new CoracleError(`apply ${file}: kind ${object.kind} is not known`, { code: 'BAD_FILE' })
    const metadata = {
      ...object.metadata,
      ...(resource.namespaced ? { namespace: object.metadata?.namespace ?? 'default' } : {}),
    }
    try {
      await client.create(resource, { ...object, metadata })
    } catch (error) {
      if (!hasCode(error, 'ALREADY_EXISTS')) throw error
    }
  }
  return objects
}

async function untilRunning(client: ApiClient, pod: KubeObject, signal: AbortSignal): Promise<Pod> {
  const key = { namespace: pod.metadata?.namespace ?? 'default', name: pod.metadata?.name ?? '' }
  const until = clock.now() + runningTimeoutMs
  for (;;) {
    const found = await client.get(resources.pods, key)
    if (found.status?.phase === 'Running') return found
    const waiting = found.status?.containerStatuses?.find((each) => each.state?.waiting)?.state?.waiting
    if (clock.now() > until) {
      const why = waiting ? `${waiting.reason}: ${waiting.message ?? ''}` : (found.status?.phase ?? '')
      throw new CoracleError(`pod ${key.name}: not Running after ${runningTimeoutMs / 1000} s: ${why}`, {
        code: 'TIMEOUT',
      })
    }
    await clock.sleep(20, signal)
  }
}

async function firstLogLine(node: RunningNode, id: string, signal: AbortSignal): Promise<string> {
  const { logPath = '' } = await node.runtime.state(id)
  const until = clock.now() + 10_000
  for (;;) {
    const [line = ''] = (await readFile(logPath, 'utf8').catch(() => '')).split('\n')
    if (line !== '' || clock.now() > until) return line.split(' ').slice(3).join(' ')
    await clock.sleep(20, signal)
  }
}

/** One line of what the kernel says: how much of its limits the container has used so far. */
function describe(stats: CgroupStats): string {
  const { memoryUsageBytes, memoryLimitBytes, cpuUsageNanoseconds, pids } = stats
  const mebibytes = (bytes: number) => `${(bytes / 1024 ** 2).toFixed(0)} MiB`
  const limit = memoryLimitBytes === undefined ? 'no limit' : `of ${mebibytes(memoryLimitBytes)}`
  return `memory ${mebibytes(memoryUsageBytes)} ${limit}, CPU ${(cpuUsageNanoseconds / 1e6).toFixed(0)} ms, ${pids} tasks`
}
