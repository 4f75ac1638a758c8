/** How pods begin, fail, restart and end, against what Kubernetes documents. */
import type { ChildProcess } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ContainerStatus, Event, Pod } from '../../orchestrator/api/types.ts'
import { Cluster, containerRecords, eventually, preferredKubectl, sleep } from './cluster.ts'
import { aPod, busybox, listOf, shell, untilTold } from './manifests.ts'

describe.skipIf(preferredKubectl() === undefined)('the life of pods', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start()
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })
  const get = (name: string) => cluster.json<Pod>(['get', 'pod', name])
  const until = (name: string, what: (pod: Pod) => unknown) =>
    eventually(
      name,
      async () => {
        const pod = await get(name)
        return what(pod) ? pod : undefined
      },
      { describe: () => cluster.ok(['describe', 'pod', name]) },
    )
  const first = (pod: Pod): ContainerStatus | undefined => pod.status?.containerStatuses?.[0]
  const isRunning = (pod: Pod) => first(pod)?.state?.running !== undefined
  const isOver = (pod: Pod) => pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded'
  const remove = (...names: string[]) => cluster.ok(['delete', 'pod', '--now', ...names])
  const eventsOf = async (name: string) => {
    const { items } = await cluster.json<{ items: Event[] }>([
      'get',
      'events',
      '--field-selector',
      `involvedObject.name=${name}`,
    ])
    return items.map((event) => `${event.reason}: ${event.message}`)
  }

  it('a sidecar: started first, waited for, ended last; the phase waits for it', async () => {
    const sidecar = shell(`trap 'sleep 1; echo bye; exit 0' TERM; (sleep 1; touch /ok)& while :; do sleep 0.1; done`, {
      name: 'side',
      restartPolicy: 'Always',
      startupProbe: { exec: { command: ['test', '-f', '/ok'] }, periodSeconds: 1 },
    })
    const spec = {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 10,
      initContainers: [shell('true', { name: 'once' }), sidecar],
    }
    await cluster.apply(listOf(aPod('sidecar', shell('sleep 0.3; echo last > /dev/termination-log; exit 3'), spec)))
    const ending = await until('sidecar', (pod) => first(pod)?.state?.terminated)
    expect(ending.status?.phase).toBe('Running')
    const pod = await until('sidecar', isOver)
    expect(pod.status?.phase).toBe('Failed')
    expect(first(pod)?.state?.terminated).toMatchObject({ exitCode: 3, reason: 'Error', message: 'last\n' })
    const [once, side] = pod.status?.initContainerStatuses ?? []
    expect(side?.state?.terminated).toMatchObject({ exitCode: 0, reason: 'Completed' })
    expect(Date.parse(first(pod)?.state?.terminated?.startedAt ?? '')).toBeGreaterThanOrEqual(
      Date.parse(once?.state?.terminated?.finishedAt ?? '') + 1000,
    )
    await remove('sidecar')
  })
  it('restart policies and exit codes; work that is done is never done twice', async () => {
    const policy = (name: string, restartPolicy: string, code: number) =>
      aPod(name, shell(`exit ${code}`), { restartPolicy })
    const pods = [0, 1, 2, 3].flatMap((n) => [policy(`done-${n}`, 'OnFailure', 0), policy(`never-${n}`, 'Never', 7)])
    await cluster.apply(listOf(...pods, policy('again', 'OnFailure', 7)))
    for (const n of [0, 1, 2, 3]) {
      const done = await until(`done-${n}`, isOver)
      expect([done.status?.phase, first(done)?.restartCount]).toEqual(['Succeeded', 0])
      const never = await until(`never-${n}`, isOver)
      expect([never.status?.phase, first(never)?.restartCount, first(never)?.state?.terminated?.exitCode]).toEqual([
        'Failed',
        0,
        7,
      ])
    }
    const again = await until('again', (pod) => first(pod)?.state?.waiting?.reason === 'CrashLoopBackOff')
    expect(first(again)).toMatchObject({ restartCount: 1, lastState: { terminated: { exitCode: 7 } } })
    await remove('again', ...pods.map((pod) => pod.metadata?.name ?? ''))
  })
  it('last words: from the log when a container failed without any', async () => {
    const fallback = shell('echo from the log; exit 4', { terminationMessagePolicy: 'FallbackToLogsOnError' })
    const own = shell('printf own > /tmp/words', {
      name: 'own',
      terminationMessagePath: '/tmp/words',
      securityContext: { runAsUser: 1000 },
    })
    await cluster.apply(listOf(aPod('words', fallback, { restartPolicy: 'Never', containers: [fallback, own] })))
    const pod = await until('words', isOver)
    expect(pod.status?.containerStatuses?.map((each) => each.state?.terminated?.message)).toEqual([
      'from the log\n',
      'own',
    ])
    await remove('words')
  })
  it('who has printed nothing yet has an empty log, and a reader waits for the first word', async () => {
    const late = shell('while [ ! -e /tmp/speak ]; do sleep 0.1; done; echo at last')
    await cluster.apply(listOf(aPod('quiet', late, { restartPolicy: 'Never' })))
    await until('quiet', (pod) => first(pod)?.state?.running)
    expect(await cluster.ok(['logs', 'quiet'])).toBe('')
    const followed = cluster.ok(['logs', '-f', 'quiet'])
    await cluster.ok(['exec', 'quiet', '--', 'touch', '/tmp/speak'])
    expect(await followed).toBe('at last\n')
    await cluster.apply(listOf(aPod('silent', shell('true'), { restartPolicy: 'Never' })))
    await until('silent', isOver)
    expect(await cluster.ok(['logs', 'silent'])).toBe('')
    await remove('quiet', 'silent')
  })
  it('out of memory, out of time, out of disk: each with its reason', async () => {
    const oom = aPod('oom', shell('tail /dev/zero', { resources: { limits: { memory: '16Mi' } } }), {
      restartPolicy: 'Never',
    })
    const late = aPod('late', shell(untilTold), { activeDeadlineSeconds: 1 })
    await cluster.apply(listOf(oom, late))
    expect(first(await until('oom', isOver))?.state?.terminated).toMatchObject({ exitCode: 137, reason: 'OOMKilled' })
    const ended = await until('late', isOver)
    expect(ended.status).toMatchObject({ phase: 'Failed', reason: 'DeadlineExceeded' })
    expect(first(ended)?.state?.terminated).toBeDefined()
    await remove('oom', 'late')
  })
  it('probes: startup holds the others back, readiness comes and goes, liveness restarts', async () => {
    const container = shell('(sleep 1; touch /started /ready /alive)& httpd -f -p 8080 -h /', {
      ports: [{ name: 'web', containerPort: 8080 }],
      startupProbe: { exec: { command: ['test', '-f', '/started'] }, periodSeconds: 1, failureThreshold: 10 },
      readinessProbe: { httpGet: { path: '/ready', port: 'web' as never }, periodSeconds: 1, failureThreshold: 1 },
      livenessProbe: {
        httpGet: { path: '/alive', port: 8080 as never },
        periodSeconds: 1,
        failureThreshold: 1,
        terminationGracePeriodSeconds: 1,
      },
    })
    await cluster.apply(listOf(aPod('probed', container, { terminationGracePeriodSeconds: 60 })))
    expect(first(await until('probed', isRunning))).toMatchObject({ started: false, ready: false })
    await until('probed', (pod) => first(pod)?.ready)
    await cluster.ok(['exec', 'probed', '--', 'rm', '/ready'])
    await until('probed', (pod) => first(pod)?.ready === false && first(pod)?.started)
    await cluster.ok(['exec', 'probed', '--', 'rm', '/alive'])
    await until('probed', (pod) => first(pod)?.restartCount === 1 && first(pod)?.ready)
    expect(await eventsOf('probed')).toContain('Killing: Container main failed liveness probe, will be restarted')
    await remove('probed')
  })
  it('liveness restarts a container that ends well, too, where only failures are', async () => {
    const container = shell('trap "exit 0" TERM; touch /alive; while true; do sleep 0.1; done', {
      livenessProbe: { exec: { command: ['test', '-f', '/alive'] }, periodSeconds: 1, failureThreshold: 1 },
    })
    await cluster.apply(listOf(aPod('well', container, { restartPolicy: 'OnFailure' })))
    await until('well', isRunning)
    await cluster.ok(['exec', 'well', '--', 'rm', '/alive'])
    const again = await until('well', (pod) => first(pod)?.restartCount === 1 && isRunning(pod))
    expect(first(again)?.lastState?.terminated).toMatchObject({ exitCode: 0, reason: 'Completed' })
    await remove('well')
  })
  it('readiness gates: the pod is ready when others say so', async () => {
    const gate = 'example.com/ok'
    await cluster.apply(listOf(aPod('gated', shell(untilTold), { readinessGates: [{ conditionType: gate }] })))
    const ready = (pod: Pod) => pod.status?.conditions?.find((each) => each.type === 'Ready')
    expect(ready(await until('gated', isRunning))).toMatchObject({ status: 'False', reason: 'ReadinessGatesNotReady' })
    const body = JSON.stringify({ status: { conditions: [{ type: gate, status: 'True' }] } })
    await cluster.ok(['patch', 'pod', 'gated', '--subresource=status', '-p', body])
    const pod = await until('gated', (each) => ready(each)?.status === 'True')
    expect(ready(pod)).not.toHaveProperty('reason')
    await remove('gated')
  })
  it('hooks: preStop takes its part of the grace period, and the process still hears of its end', async () => {
    const folder = join(cluster.dataDir, 'hooks')
    const container = shell(`trap 'echo term >> /out/log; exit 0' TERM; while :; do sleep 0.1; done`, {
      volumeMounts: [{ name: 'out', mountPath: '/out' }],
      lifecycle: { preStop: { exec: { command: ['sh', '-c', 'echo prestop >> /out/log; sleep 100'] } } },
    })
    const volumes = [{ name: 'out', hostPath: { path: folder, type: 'DirectoryOrCreate' } }]
    await cluster.apply(listOf(aPod('hooked', container, { terminationGracePeriodSeconds: 2, volumes })))
    await until('hooked', isRunning)
    const started = Date.now()
    await cluster.ok(['delete', 'pod', 'hooked'])
    expect(Date.now() - started).toBeLessThan(8000)
    expect(readFileSync(join(folder, 'log'), 'utf8')).toBe('prestop\nterm\n')
  })
  it('a deletion does not wait: for a pull, a hook, or a backoff', async () => {
    const registry = silentRegistry(cluster)
    try {
      const pulling = aPod('pulling', { name: 'main', image: '127.0.0.1:5999/no/such:1' })
      const hooked = aPod(
        'hanging',
        shell(untilTold, { lifecycle: { postStart: { exec: { command: ['sleep', '1000'] } } } }),
      )
      const crashing = aPod('crashing', shell('exit 1'))
      await cluster.apply(listOf(pulling, hooked, crashing))
      await until('crashing', (pod) => first(pod)?.state?.waiting?.reason === 'CrashLoopBackOff')
      const { stderr } = await cluster.kubectl(['logs', 'pulling'])
      expect(stderr).toContain('container "main" in pod "pulling" is waiting to start: ContainerCreating')
      const started = Date.now()
      await remove('pulling', 'hanging', 'crashing')
      expect(Date.now() - started).toBeLessThan(5000)
    } finally {
      registry.kill('SIGKILL')
    }
  })
  it('another image: replaces a running container, and ends the backoff of one that could not be pulled', async () => {
    await cluster.apply(listOf(aPod('nopull', shell(untilTold, { image: '127.0.0.1:5998/no/such:1' }))))
    await until('nopull', (pod) => first(pod)?.state?.waiting?.reason === 'ImagePullBackOff')
    await cluster.ok(['set', 'image', 'pod/nopull', `main=${busybox}`])
    const started = Date.now()
    await until('nopull', isRunning)
    expect(Date.now() - started).toBeLessThan(4000)
    await remove('nopull')
  })
  it('--force, and the same name again at once: two pods that do not meet', async () => {
    await cluster.apply(
      listOf(
        aPod('twice', shell('trap : TERM; echo one; while :; do sleep 0.1; done'), {
          terminationGracePeriodSeconds: 60,
        }),
      ),
    )
    await until('twice', isRunning)
    await cluster.ok(['delete', 'pod', 'twice', '--wait=false'])
    expect(await cluster.ok(['get', 'pods'])).toMatch(/twice\s+1\/1\s+Terminating/)
    await cluster.ok(['delete', 'pod', 'twice', '--force', '--grace-period=0'])
    await cluster.apply(listOf(aPod('twice', shell(`echo two; ${untilTold}`))))
    await until('twice', isRunning)
    await eventually('log', async () => (await cluster.ok(['logs', 'twice'])) === 'two\n')
    await eventually('the first is gone', async () => readdirSync(join(cluster.dataDir, 'pods')).length === 1)
    await remove('twice')
  })
  it('kill -9 from outside: of the container, of its sandbox, of the launcher', async () => {
    await cluster.apply(listOf(aPod('victim', shell(`while :; do date; sleep 0.1; done`))))
    const before = await until('victim', isRunning)
    process.kill(recordOf(cluster, 'container', before).pid, 'SIGKILL')
    const after = await until('victim', (pod) => first(pod)?.restartCount === 1 && isRunning(pod))
    expect(first(after)?.lastState?.terminated).toMatchObject({ exitCode: 137, reason: 'Error' })
    await cluster.apply(listOf(aPod('boxed', shell(untilTold))))
    process.kill(recordOf(cluster, 'sandbox', await until('boxed', isRunning)).pid, 'SIGKILL')
    await until('boxed', (pod) => first(pod)?.restartCount === 1 && isRunning(pod))
    expect(await eventsOf('boxed')).toContain('SandboxChanged: Pod sandbox changed, it will be killed and re-created.')
    const { pid } = recordOf(cluster, 'container', after)
    process.kill(launcherOf(cluster), 'SIGKILL')
    await sleep(1000)
    expect(recordOf(cluster, 'container', await get('victim')).pid).toBe(pid)
    const lines = async () => (await cluster.ok(['logs', 'victim'])).split('\n').length
    const count = await lines()
    await eventually('the log goes on', async () => (await lines()) > count)
    expect(await cluster.ok(['exec', 'victim', '--', 'echo', 'still'])).toBe('still\n')
    await remove('victim', 'boxed')
  })
  it('static pods: shown by a mirror, and a broken file says what is wrong', async () => {
    const manifests = join(cluster.dataDir, 'manifests')
    mkdirSync(manifests, { recursive: true })
    writeFileSync(join(manifests, 'a-broken.json'), JSON.stringify(aPod('broken', { ...shell(''), image: '' })))
    writeFileSync(join(manifests, 'good.json'), JSON.stringify(aPod('good', shell(`echo static; ${untilTold}`))))
    const name = `good-${cluster.nodeName}`
    await eventually('the mirror', async () => (await cluster.kubectl(['get', 'pod', name])).code === 0)
    await until(name, isRunning)
    await eventually('log', async () => (await cluster.ok(['logs', name])) === 'static\n')
    expect(cluster.output).toMatch(/a-broken\.json: spec\.containers\[0\]\.image: Required value/)
    rmSync(join(manifests, 'good.json'))
    rmSync(join(manifests, 'a-broken.json'))
    await eventually('gone', async () => (await cluster.kubectl(['get', 'pod', name])).code !== 0)
  })
  it('afterwards nothing of it is left on the node', async () => {
    await eventually('no record', async () => containerRecords(cluster).length === 0)
    expect(readdirSync(join(cluster.dataDir, 'pods'))).toEqual([])
    expect(readdirSync(join(cluster.dataDir, 'logs/pods'))).toEqual([])
  })
})

interface RuntimeRecord {
  id: string
  kind: 'container' | 'sandbox'
  pid: number
  annotations: Record<string, string>
}

/** The record of the pod's only container that runs, or of its sandbox. */
function recordOf(cluster: Cluster, kind: RuntimeRecord['kind'], pod: Pod): RuntimeRecord {
  const all = containerRecords(cluster).map(
    (id) => JSON.parse(readFileSync(join(cluster.dataDir, 'runtime', id, 'state.json'), 'utf8')) as RuntimeRecord,
  )
  const id = pod.status?.containerStatuses?.[0]?.containerID?.replace('coracle://', '')
  const found = all.filter((each) =>
    kind === 'container'
      ? each.id === id
      : each.kind === 'sandbox' && each.annotations['io.kubernetes.pod.uid'] === pod.metadata?.uid,
  )
  const last = found.at(-1)
  if (!last) throw new Error(`no ${kind} of ${pod.metadata?.name}`)
  return last
}

function launcherOf(cluster: Cluster): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const found = pids.find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith(`coracle-launcher ${cluster.dataDir}/runtime`)
    } catch {
      return false
    }
  })
  return Number(found)
}

/** Takes connections and never answers: a pull from it hangs. */
function silentRegistry(cluster: Cluster): ChildProcess {
  return cluster.spawnInside(process.execPath, [
    '-e',
    "require('node:net').createServer(() => {}).listen(5999, '127.0.0.1')",
  ])
}
