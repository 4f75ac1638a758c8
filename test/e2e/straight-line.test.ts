/** From `kubectl apply` to a running process, with every kubectl that this machine has. */
import { readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Pod } from '../../orchestrator/api/types.ts'
import { Cluster, configMap, eventually, kubectls, preferredKubectl, projectRoot } from './cluster.ts'

const clients = kubectls()
const hello = join(projectRoot, 'examples/hello.yaml')

const talker = (name: string, script: string, more = '') => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, labels: { app: ${name} } }
spec:
  terminationGracePeriodSeconds: 1
  ${more}
  containers:
    - name: main
      image: coracle.local/busybox:1
      command: [sh, -c, ${JSON.stringify(script)}]
`

describe.skipIf(preferredKubectl() === undefined)('the straight line', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start()
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })
  const phase = async (name: string) => (await cluster.json<Pod>(['get', 'pod', name])).status?.phase
  const running = (name: string) =>
    eventually(`pod ${name} Running`, async () => (await phase(name)) === 'Running', {
      describe: () => cluster.ok(['describe', 'pod', name]),
    })

  it('node: Ready, with what it has to give', async () => {
    const table = await cluster.ok(['get', 'nodes'])
    expect(table).toMatch(/^NAME\s+STATUS\s+ROLES\s+AGE\s+VERSION/)
    expect(table).toMatch(new RegExp(`^${cluster.nodeName}\\s+Ready`, 'm'))
  })

  it('apply examples/hello.yaml: its own namespaces, cgroup, overlay root and address', async () => {
    expect(await cluster.ok(['apply', '-f', hello])).toMatch(/pod\/hello created/)
    await running('hello')
    const pod = await cluster.json<Pod>(['get', 'pod', 'hello'])
    const ip = pod.status?.podIP ?? ''
    expect(ip).toMatch(/^10\.244\.0\.\d+$/)
    const answer = await eventually('its answer', async () => {
      const { code, stdout } = await cluster.inside('curl', ['-s', '-m', '5', `http://${ip}:8080/`])
      return code === 0 && stdout
    })
    expect(answer).toContain('Hello from a pod')
    const pid = hostPid(cluster, pod)
    for (const kind of ['mnt', 'pid', 'net', 'ipc', 'uts']) {
      expect(readlinkSync(`/proc/${pid}/ns/${kind}`)).not.toBe(readlinkSync(`/proc/self/ns/${kind}`))
    }
    expect(readFileSync(`/proc/${pid}/mountinfo`, 'utf8')).toMatch(/ \/ \/ .* - overlay /)
    const groups = readFileSync(`/proc/${pid}/cgroup`, 'utf8')
    expect(groups).toContain(`/${cluster.cgroupRoot}/`)
    expect(limitOf(groups)).toBe(128 * 1024 * 1024)
  })

  it('apply: again changes nothing, and a changed label is patched', async () => {
    const version = () => cluster.ok(['get', 'pod', 'hello', '-o', 'jsonpath={.metadata.resourceVersion}'])
    const before = await version()
    // The pod has one volume more than its file, that of its token: kubectl then sends the order of the file's volumes,
    // and says "configured" of whatever it sends, here as in any cluster (strategicpatch's isOrderSame).
    expect(await cluster.ok(['apply', '-f', hello])).toBe('configmap/hello unchanged\npod/hello configured\n')
    expect(await version()).toBe(before)
    const plain = talker('plain', 'sleep 1000')
    await cluster.apply(plain)
    expect(await cluster.apply(plain)).toBe('pod/plain unchanged\n')
    await cluster.ok(['delete', 'pod', 'plain', '--now'])
    const text = readFileSync(hello, 'utf8').replace('app: hello', 'app: hello\n    tier: web')
    expect(await cluster.apply(text)).toMatch(/pod\/hello configured/)
    expect(await cluster.ok(['get', 'pods', '-l', 'tier=web', '-o', 'name'])).toBe('pod/hello\n')
  })

  describe.each(clients)('kubectl $version', ({ version, path }) => {
    const ok = (...args: string[]) => cluster.ok(args, { program: path })
    it('version, cluster-info, api-resources, explain', async () => {
      expect(await ok('version')).toMatch(/Server Version/)
      expect(await ok('cluster-info')).toMatch(/is running at/)
      expect(await ok('api-resources')).toMatch(/^configmaps\s+cm\s+.*true\s+ConfigMap/m)
      const text = await ok('explain', 'pod.spec.containers')
      expect(text).toMatch(/image\s+<string>/)
      expect(text).toMatch(/List of containers belonging to the pod/)
    })
    it('get: table, wide, yaml, json, jsonpath', async () => {
      expect(await ok('get', 'pods')).toMatch(/^NAME\s+READY\s+STATUS\s+RESTARTS\s+AGE\nhello\s+1\/1\s+Running\s+0/)
      expect(await ok('get', 'pods', '-o', 'wide')).toMatch(/IP\s+NODE\s+NOMINATED NODE\s+READINESS GATES/)
      expect(await ok('get', 'pod', 'hello', '-o', 'yaml')).toMatch(/^kind: Pod$/m)
      expect(await ok('get', 'pod', 'hello', '-o', 'jsonpath={.status.phase}')).toBe('Running')
      expect(await ok('get', 'all,cm,secrets,sa,events,ns,nodes')).toMatch(/configmap\/hello/)
    })
    it('describe, get events', async () => {
      const text = await ok('describe', 'pod', 'hello')
      expect(text).toMatch(/Status:\s+Running/)
      expect(text).toMatch(/Successfully assigned default\/hello/)
      expect(text).toMatch(/Started\s+.*Started container web/)
      expect(await ok('describe', 'node', cluster.nodeName)).toMatch(/Allocated resources/)
      expect(await ok('get', 'events')).toMatch(/LAST SEEN\s+TYPE\s+REASON\s+OBJECT\s+MESSAGE/)
    })
    it('apply, label, annotate, patch, delete of an object of its own', async () => {
      const name = `cm-${version.replace('.', '-')}`
      const manifest = configMap(name, { a: '1' })
      const apply = (text: string) => cluster.ok(['apply', '-f', '-'], { program: path, input: text })
      expect(await apply(manifest)).toMatch(/created/)
      expect(await apply(manifest)).toMatch(/unchanged/)
      expect(await apply(manifest.replace('"1"', '"2"'))).toMatch(/configured/)
      await ok('label', 'configmap', name, 'x=y')
      await ok('annotate', 'configmap', name, 'note=hello')
      for (const [type, patch] of [
        ['merge', '{"data":{"b":"3"}}'],
        ['strategic', '{"data":{"c":"4"}}'],
        ['json', '[{"op":"add","path":"/data/d","value":"5"}]'],
      ] as const) {
        await ok('patch', 'configmap', name, '--type', type, '-p', patch)
      }
      const data = await ok(
        'get',
        'configmap',
        name,
        '-o',
        'jsonpath={.data.a}{.data.b}{.data.c}{.data.d}{.metadata.labels.x}',
      )
      expect(data).toBe('2345y')
      expect(await ok('delete', 'configmap', name)).toMatch(/deleted/)
    })
    it('logs: tail, since, timestamps', async () => {
      expect(await ok('logs', 'hello')).toMatch(/^listening on port 8080/)
      expect(await ok('logs', 'hello', '--tail=1', '--timestamps')).toMatch(
        /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d) \S/,
      )
      expect(await ok('logs', 'hello', '--since=1h')).toMatch(/listening/)
      expect(await ok('logs', 'hello', '--since-time=2099-01-01T00:00:00Z')).toBe('')
    })
    it('exec: output, exit code, standard input, terminal', async () => {
      expect(await ok('exec', 'hello', '--', 'node', '-p', '6*7')).toBe('42\n')
      const failed = await cluster.kubectl(['exec', 'hello', '--', 'node', '-e', 'process.exit(7)'], { program: path })
      expect(failed.code).toBe(7)
      const echo = 'process.stdin.pipe(process.stdout)'
      const input = 'through the pipe\n'
      const piped = await cluster.kubectl(['exec', '-i', 'hello', '--', 'node', '-e', echo], { program: path, input })
      expect(piped.stdout).toBe(input)
      const tty = `${path} exec -it hello -- node -p process.stdout.isTTY`
      const { stdout } = await cluster.inside('script', ['-qec', tty, '/dev/null'], { env: cluster.environment() })
      expect(stdout).toContain('true')
    })
    it('run to the end and delete: grace period, --now, --force', async () => {
      const name = `end-${version.replace('.', '-')}`
      await cluster.ok(['apply', '-f', '-'], {
        program: path,
        input: talker(name, 'trap "" TERM; while :; do sleep 1; done'),
      })
      await running(name)
      const started = Date.now()
      await ok('delete', 'pod', name, '--now')
      expect(Date.now() - started).toBeLessThan(15_000)
      await cluster.ok(['apply', '-f', '-'], { program: path, input: talker(name, 'sleep 1000') })
      await running(name)
      await ok('delete', 'pod', name, '--force', '--grace-period=0')
      expect((await cluster.kubectl(['get', 'pod', name])).stderr).toMatch(/NotFound/)
    })
  })

  it('get -w: shows the pod on its way', async () => {
    const watcher = cluster.spawnInside(preferredKubectl() ?? '', ['get', 'pods', '-w', '--no-headers'])
    let seen = ''
    watcher.stdout?.on('data', (chunk) => (seen += String(chunk)))
    await eventually('the first rows', async () => seen.includes('hello'))
    await cluster.apply(talker('watched', 'sleep 1000'))
    await eventually('Running', async () => /watched\s+1\/1\s+Running/.test(seen), { describe: async () => seen })
    await cluster.ok(['delete', 'pod', 'watched', '--now'])
    watcher.kill()
    expect(seen).toMatch(/watched\s+0\/1\s+Pending/)
  })

  it('logs -f ends with its container; logs -p shows the run before', async () => {
    await cluster.apply(talker('loop', 'echo run $(cat /proc/sys/kernel/random/uuid); sleep 1; exit 3'))
    await eventually('a restart', async () => {
      const pod = await cluster.json<Pod>(['get', 'pod', 'loop'])
      return (pod.status?.containerStatuses?.[0]?.restartCount ?? 0) > 0
    })
    const before = await cluster.ok(['logs', '-p', 'loop'])
    expect(before).toMatch(/^run /)
    await eventually('CrashLoopBackOff', async () =>
      (await cluster.ok(['get', 'pod', 'loop'])).includes('CrashLoopBackOff'),
    )
    const pod = await cluster.json<Pod>(['get', 'pod', 'loop'])
    expect(pod.status?.containerStatuses?.[0]?.lastState?.terminated?.exitCode).toBe(3)
    await cluster.apply(talker('short', 'for i in 1 2 3; do echo line $i; sleep 0.3; done', 'restartPolicy: Never'))
    await eventually('its start', async () => (await phase('short')) !== 'Pending')
    expect(await cluster.ok(['logs', '-f', 'short'])).toBe('line 1\nline 2\nline 3\n')
    await eventually('Succeeded', async () => (await phase('short')) === 'Succeeded')
    await cluster.ok(['delete', 'pod', 'loop', 'short', '--now'])
  })

  it('edit: what the editor wrote is patched', async () => {
    await cluster.apply(configMap('edited', { a: 'before' }))
    const env = { ...cluster.environment(), KUBE_EDITOR: 'sed -i s/before/after/' }
    const { code } = await cluster.inside(preferredKubectl() ?? '', ['edit', 'configmap', 'edited'], { env })
    expect(code).toBe(0)
    expect(await cluster.ok(['get', 'cm', 'edited', '-o', 'jsonpath={.data.a}'])).toBe('after')
  })

  it('volumes and variables: ConfigMap, Secret, downward API, shared emptyDir', async () => {
    await cluster.apply(readFileSync(join(import.meta.dirname, 'volumes.yaml'), 'utf8'))
    await eventually('Succeeded', async () => (await phase('volumes')) === 'Succeeded', {
      describe: async () =>
        `${await cluster.ok(['describe', 'pod', 'volumes'])}${(await cluster.kubectl(['logs', 'volumes'])).stdout}`,
    })
    expect((await cluster.ok(['logs', 'volumes'])).split('\n')).toEqual([
      'file: one',
      'secret: s3cret',
      'from env: one s3cret',
      'name: volumes',
      'label: volumes',
      'written by init',
      '',
    ])
  })

  it('namespace: deleting one takes its pods along', async () => {
    await cluster.apply(JSON.stringify({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'gone' } }))
    await cluster.ok(['apply', '-n', 'gone', '-f', '-'], { input: talker('inner', 'sleep 1000') })
    await cluster.ok(['delete', 'namespace', 'gone'], { timeoutMs: 60_000 })
    expect((await cluster.kubectl(['get', 'ns', 'gone'])).stderr).toMatch(/NotFound/)
  })

  it('why is it there: filter by filter, score by score', async () => {
    const decision = JSON.parse(await cluster.ok(['get', '--raw', '/debug/scheduler/decisions/default/hello']))
    expect(decision).toMatchObject({ pod: 'default/hello', node: cluster.nodeName, refused: {} })
    expect(decision.scores[cluster.nodeName].NodeResourcesLeastAllocated).toBeGreaterThan(0)
  })

  it('nobody without a certificate gets in', async () => {
    const url = 'https://127.0.0.1:6443/api/v1/namespaces/default/pods'
    const { stdout } = await cluster.inside('curl', ['-sk', '-o', '/dev/null', '-w', '%{http_code}', url])
    expect(stdout).toBe('401')
  })

  it('kubeconfig: for root alone', () => {
    expect(statSync(cluster.kubeconfig).mode & 0o777).toBe(0o600)
  })
})

/** The container's first process as this machine sees it. */
function hostPid(cluster: Cluster, pod: Pod): number {
  const id = pod.status?.containerStatuses?.[0]?.containerID?.replace('coracle://', '') ?? ''
  const record = readFileSync(join(cluster.dataDir, 'runtime', id, 'state.json'), 'utf8')
  return (JSON.parse(record) as { pid: number }).pid
}

function limitOf(groups: string): number {
  const v1 = /^\d+:memory:(.*)$/m.exec(groups)?.[1]
  const v2 = /^0::(.*)$/m.exec(groups)?.[1]
  const file = v1 === undefined ? `/sys/fs/cgroup${v2}/memory.max` : `/sys/fs/cgroup/memory${v1}/memory.limit_in_bytes`
  return Number(readFileSync(file, 'utf8'))
}
