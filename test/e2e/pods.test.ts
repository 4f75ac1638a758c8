/** What a pod gets: security, names, volumes, resources, and streams into it, seen from inside with the real kubectl. */
import { existsSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Event, Pod, PodSpec } from '../../orchestrator/api/types.ts'
import { Cluster, configMap, containerRecords, eventually, kubectls, preferredKubectl, sleep } from './cluster.ts'
import { aPod, busybox, listOf, shell, untilTold } from './manifests.ts'

const runc = ['/usr/sbin/runc', '/usr/bin/runc'].find((path) => existsSync(path))

describe.skipIf(preferredKubectl() === undefined)('what a pod gets', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start(60_000, { flags: runc === undefined ? [] : ['--runtime-handler', `plain=${runc}`] })
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
  const isRunning = (pod: Pod) => pod.status?.containerStatuses?.every((each) => each.state?.running)
  const run = async (name: string, container = shell(untilTold), spec: Partial<PodSpec> = {}) => {
    await cluster.apply(listOf(aPod(name, container, spec)))
    return until(name, isRunning)
  }
  const inside = (name: string, script: string, ...options: string[]) =>
    cluster.ok(['exec', name, ...options, '--', 'sh', '-c', script])
  const remove = (...names: string[]) => cluster.ok(['delete', 'pod', '--now', ...names])
  const refusal = async (name: string, spec: Partial<PodSpec>) => {
    await cluster.apply(listOf(aPod(name, shell(untilTold), spec)))
    const { status } = await until(name, (pod) => pod.status?.phase === 'Failed')
    await remove(name)
    return `${status?.reason}: ${status?.message}`
  }

  it('a locked-down container: no root, no capabilities, no writing, no way up', async () => {
    const locked = shell(untilTold, {
      securityContext: {
        readOnlyRootFilesystem: true,
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'], add: ['NET_BIND_SERVICE'] },
      },
    })
    const securityContext = {
      runAsNonRoot: true,
      runAsUser: 1234,
      runAsGroup: 2345,
      fsGroup: 3456,
      sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '81' }],
    }
    await run('locked', locked, { securityContext, volumes: [{ name: 'v', emptyDir: {} }] })
    expect(await inside('locked', 'id')).toMatch(/uid=1234 gid=2345 groups=3456/)
    expect(await inside('locked', 'cat /proc/self/status')).toMatch(
      /CapBnd:\s+0000000000000400[\s\S]*NoNewPrivs:\s+1\nSeccomp:\s+2/,
    )
    expect(await inside('locked', 'touch /x 2>&1; cat /proc/sys/net/ipv4/ip_unprivileged_port_start')).toMatch(
      /Read-only file system\n81/,
    )
    await remove('locked')
  })
  const runtimeClass = (name: string, handler: string, more: object = {}) => {
    return { apiVersion: 'node.k8s.io/v1', kind: 'RuntimeClass', metadata: { name }, handler, ...more }
  }
  it.skipIf(runc === undefined)('runtimeClassName: another runtime of the machine makes the containers', async () => {
    const overhead = { podFixed: { memory: '16Mi' } }
    await cluster.apply(listOf(runtimeClass('by-runc', 'plain', { overhead }), runtimeClass('own', 'coracle')))
    const limited = shell('echo hello; trap "exit 5" TERM; while :; do sleep 0.1; done', {
      resources: { limits: { memory: '64Mi' } },
    })
    await run('foreign', limited, { runtimeClassName: 'by-runc' })
    await run('own', shell(untilTold), { runtimeClassName: 'own' })
    const makers = containerRecords(cluster).map((id) => {
      const { handler, annotations } = JSON.parse(
        readFileSync(join(cluster.dataDir, 'runtime', id, 'state.json'), 'utf8'),
      ) as { handler?: { binary: string }; annotations: Record<string, string> }
      return [annotations['io.kubernetes.container.name'], handler?.binary]
    })
    expect(makers.filter(([, binary]) => binary !== undefined)).toEqual([['main', runc]])
    expect(await inside('foreign', 'hostname; cat /proc/1/cgroup')).toMatch(/^foreign\n/)
    expect(await cluster.ok(['logs', 'foreign'])).toBe('hello\n')
    const { spec, metadata } = await get('foreign')
    expect(spec?.overhead).toEqual({ memory: '16Mi' })
    const limit = `/sys/fs/cgroup/memory/${cluster.cgroupRoot}/burstable/pod${metadata?.uid}/memory.limit_in_bytes`
    if (existsSync(limit)) expect(Number(readFileSync(limit, 'utf8'))).toBe(80 * 2 ** 20)
    await remove('foreign', 'own')
  })
  it('runtimeClassName: a handler that the node does not have keeps the pod waiting, and an event says why', async () => {
    await cluster.apply(listOf(runtimeClass('nowhere', 'kata')))
    await cluster.apply(listOf(aPod('homeless', shell(untilTold), { runtimeClassName: 'nowhere' })))
    await eventually('its event', async () => {
      const { items } = await cluster.json<{ items: Event[] }>(['get', 'events'])
      return items.some(
        ({ reason, message }) => reason === 'FailedCreatePodSandBox' && /no runtime for "kata"/.test(message ?? ''),
      )
    })
    expect((await get('homeless')).status?.phase).toBe('Pending')
    const { items } = await cluster.json<{ items: { status: { runtimeHandlers: { name: string }[] } }[] }>([
      'get',
      'nodes',
    ])
    expect(items[0]?.status.runtimeHandlers.map(({ name }) => name).slice(0, 2)).toEqual(['', 'coracle'])
    await remove('homeless')
  })
  it('resize: the limits of a running container follow its manifest, without a restart unless it wants one', async () => {
    const sized = (cpu: string, memory: string) => ({ requests: { cpu, memory }, limits: { cpu, memory } })
    const resizePolicy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }]
    await run('sized', shell(untilTold, { resources: sized('100m', '32Mi'), resizePolicy }))
    const resize = (cpu: string, memory: string) => {
      const body = { spec: { containers: [{ name: 'main', resources: sized(cpu, memory) }] } }
      return cluster.ok(['patch', 'pod', 'sized', '--subresource=resize', '-p', JSON.stringify(body)])
    }
    const has = (cpu: string, memory: string) =>
      until('sized', ({ status }) => {
        const { requests, limits } = status?.containerStatuses?.[0]?.resources ?? {}
        return [requests, limits].every((each) => each?.cpu === cpu && each?.memory === memory)
      })
    const v1 = existsSync('/sys/fs/cgroup/cpu')
    const quota = v1 ? 'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us' : 'cut -d" " -f1 /sys/fs/cgroup/cpu.max'
    const memory = v1 ? 'cat /sys/fs/cgroup/memory/memory.limit_in_bytes' : 'cat /sys/fs/cgroup/memory.max'
    await has('100m', '32Mi')
    await resize('200m', '32Mi')
    const grown = await has('200m', '32Mi')
    expect(grown.status?.containerStatuses?.[0]).toMatchObject({ restartCount: 0, allocatedResources: { cpu: '200m' } })
    expect(await inside('sized', `${quota}; ${memory}`)).toBe(`20000\n${32 * 2 ** 20}\n`)
    await resize('100m', '48Mi')
    const again = await has('100m', '48Mi')
    expect(again.status?.containerStatuses?.[0]?.restartCount).toBe(1)
    expect(await inside('sized', `${quota}; ${memory}`)).toBe(`10000\n${48 * 2 ** 20}\n`)
    await resize('900', '48Mi')
    const pending = (pod: Pod) => pod.status?.conditions?.find(({ type }) => type === 'PodResizePending')
    const waiting = await until('sized', pending)
    expect(pending(waiting)).toMatchObject({ status: 'True', reason: 'Infeasible' })
    expect(waiting.status?.containerStatuses?.[0]?.resources?.limits?.cpu).toBe('100m')
    await eventually('its event', async () => {
      const { items } = await cluster.json<{ items: Event[] }>([
        'get',
        'events',
        '--field-selector=reason=ResizeInfeasible',
      ])
      return items.some(({ message }) => message?.includes("didn't have enough resource: cpu"))
    })
    await resize('150m', '48Mi')
    expect(pending(await has('150m', '48Mi'))).toBeUndefined()
    await remove('sized')
  })
  it('kubectl debug: a container that is added to look into another one, runs once, and ends without its pod', async () => {
    await run('watched', shell(untilTold, { name: 'app' }))
    const script = 'cat /proc/1/cmdline | tr "\\0" " "; echo; until test -e /tmp/end; do sleep 0.1; done; exit 3'
    const debug = ['debug', 'watched', '-c', 'looker', `--image=${busybox}`, '--target=app', '--attach=false', '-q']
    await cluster.ok([...debug, '--', 'sh', '-c', script])
    const looker = (pod: Pod) => pod.status?.ephemeralContainerStatuses?.find(({ name }) => name === 'looker')
    await until('watched', (pod) => looker(pod)?.state?.running)
    expect(await inside('watched', 'hostname; ls /proc/1/root/etc/hosts', '-c', 'looker')).toBe(
      'watched\n/proc/1/root/etc/hosts\n',
    )
    await inside('watched', 'touch /tmp/end', '-c', 'looker')
    const { status } = await until('watched', (pod) => looker(pod)?.state?.terminated)
    expect(await cluster.ok(['logs', 'watched', '-c', 'looker'])).toContain(untilTold)
    expect(status?.ephemeralContainerStatuses?.[0]).toMatchObject({
      restartCount: 0,
      state: { terminated: { exitCode: 3 } },
    })
    expect(status?.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('True')
    const events = await cluster.json<{ items: Event[] }>(['get', 'events', '--field-selector=reason=Started'])
    const paths = events.items.map(({ involvedObject }) => involvedObject.fieldPath)
    expect(paths).toContain('spec.ephemeralContainers{looker}')
    await remove('watched')
  })
  it('a privileged pod in the namespaces of the node; the node keeps its network when it goes', async () => {
    const links = await cluster.inside('ip', ['-br', 'link', 'show', 'lo'])
    const from = (fieldPath: string) => ({ valueFrom: { fieldRef: { fieldPath } } })
    const env = [
      { name: 'HOST_IP', ...from('status.hostIP') },
      { name: 'POD_IP', ...from('status.podIP') },
    ]
    await run('host', shell(untilTold, { env, securityContext: { privileged: true } }), {
      hostNetwork: true,
      hostPID: true,
      hostIPC: true,
      hostAliases: [{ ip: '192.0.2.7', hostnames: ['seven.test'] }],
    })
    expect(await inside('host', 'grep -E "CapEff|Seccomp:" /proc/self/status')).toMatch(
      /CapEff:\s+0*1ff[\s\S]*Seccomp:\s+0/,
    )
    expect(Number(await inside('host', 'ls /dev | wc -l'))).toBeGreaterThan(20)
    expect(await inside('host', 'cat /etc/hosts')).toMatch(/^192\.0\.2\.7\tseven\.test$/m)
    const { hostIP } = (await get('host')).status ?? {}
    expect(await inside('host', 'echo $HOST_IP $POD_IP')).toBe(`${hostIP} ${hostIP}\n`)
    expect(await inside('host', `cat /proc/${process.pid}/cmdline | wc -c`)).not.toBe('0\n')
    await remove('host')
    expect(await cluster.inside('ip', ['-br', 'link', 'show', 'lo'])).toEqual(links)
    expect(await cluster.ok(['get', 'nodes'])).toMatch(/Ready/)
  })
  it('what would change the node, or does not fit it, is refused', async () => {
    const before = readFileSync('/proc/sys/kernel/msgmax', 'utf8')
    const sysctls = [{ name: 'kernel.msgmax', value: '1234' }]
    expect(await refusal('sysctl', { securityContext: { sysctls } })).toMatch(
      /^SysctlForbidden: .*"kernel\.msgmax" not allowlisted/,
    )
    expect(readFileSync('/proc/sys/kernel/msgmax', 'utf8')).toBe(before)
    const huge = shell(untilTold, { resources: { requests: { cpu: '500' } } })
    expect(await refusal('huge', { nodeName: cluster.nodeName, containers: [huge] })).toMatch(
      /^OutOfcpu: .*requested: 500000, used: 0/,
    )
    expect(await refusal('claim', { volumes: [{ name: 'c', persistentVolumeClaim: { claimName: 'x' } }] })).toMatch(
      /persistentVolumeClaim is not supported/,
    )
  })
  it('a label that the node got a moment ago counts for the pods that ask for it', async () => {
    await cluster.ok(['label', 'node', cluster.nodeName, 'example.com/disk=fast'])
    await run('on-label', shell(untilTold), { nodeSelector: { 'example.com/disk': 'fast' } })
    await remove('on-label')
    await cluster.ok(['label', 'node', cluster.nodeName, 'example.com/disk-'])
  })
  it('names: host name, subdomain, aliases, DNS settings; one process namespace for all', async () => {
    const other = shell('exec sleep 4321', { name: 'other' })
    const main = shell(untilTold)
    await run('named', main, {
      containers: [main, other],
      shareProcessNamespace: true,
      hostname: 'hosty',
      subdomain: 'suby',
      hostAliases: [{ ip: '1.2.3.4', hostnames: ['foo.local', 'bar.local'] }],
      dnsPolicy: 'None',
      dnsConfig: {
        nameservers: ['9.9.9.9'],
        searches: ['a.b'],
        options: [{ name: 'ndots', value: '3' }, { name: 'edns0' }],
      },
    })
    expect(await inside('named', 'hostname; cat /etc/resolv.conf', '-c', 'main')).toBe(
      'hosty\nnameserver 9.9.9.9\nsearch a.b\noptions ndots:3 edns0\n',
    )
    expect(await inside('named', 'cat /etc/hosts', '-c', 'main')).toMatch(
      /hosty\.suby\.default\.svc\.cluster\.local\thosty[\s\S]*1\.2\.3\.4\tfoo\.local\tbar\.local/,
    )
    expect(await inside('named', 'ps', '-c', 'main')).toMatch(/pause[\s\S]*sleep 4321/)
    await remove('named')
  })
  it('the token of a pod whose containers run as one user: his, and readable for the group of its volumes', async () => {
    const ls = 'stat -L -c "%a %u %g" /var/run/secrets/kubernetes.io/serviceaccount/token'
    await run('token-user', shell(untilTold), { securityContext: { runAsUser: 1000 } })
    expect(await inside('token-user', ls)).toBe('600 1000 0\n')
    await run('token-group', shell(untilTold), { securityContext: { runAsUser: 1000, fsGroup: 2000 } })
    expect(await inside('token-group', ls)).toBe('640 1000 2000\n')
    await remove('token-user', 'token-group')
  })
  it('volumes: items, modes, optional ones, memory, subPath, the downward API; a limit that ends the pod', async () => {
    const filling = `dd if=/dev/zero of=/v/x bs=1M count=3; ${untilTold}`
    const greedy = shell(filling, { volumeMounts: [{ name: 'v', mountPath: '/v' }] })
    await run('greedy', greedy, { volumes: [{ name: 'v', emptyDir: { sizeLimit: '1Mi' } }] })
    await cluster.apply(configMap('settings', { a: '1', b: 'two' }))
    await cluster.ok(['create', 'secret', 'generic', 'sec', '--from-literal=pw=geheim'])
    const volumes = [
      {
        name: 'map',
        configMap: {
          name: 'settings',
          defaultMode: 0o666,
          items: [
            { key: 'a', path: 'dir/a', mode: 0o777 },
            { key: 'b', path: 'b' },
          ],
        },
      },
      { name: 'none', configMap: { name: 'not-there', optional: true } },
      { name: 'sec', secret: { secretName: 'sec', defaultMode: 0o400 } },
      { name: 'mem', emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
      { name: 'rest', emptyDir: { medium: 'Memory' } },
      { name: 'disk', emptyDir: {} },
      {
        name: 'about',
        downwardAPI: {
          items: [
            { path: 'cpu', resourceFieldRef: { containerName: 'main', resource: 'requests.cpu', divisor: '1m' } },
          ],
        },
      },
    ]
    const mounts = volumes.map(({ name }) => ({ name, mountPath: `/${name}` }))
    const container = shell(untilTold, {
      resources: { requests: { cpu: '100m' }, limits: { cpu: '200m', memory: '40Mi' } },
      securityContext: { runAsUser: 1000 },
      volumeMounts: [
        ...mounts,
        { name: 'disk', mountPath: '/part', subPath: 'a/b' },
        { name: 'mem', mountPath: '/slice', subPath: 'a' },
        { name: 'map', mountPath: '/only-b', subPath: 'b' },
      ],
    })
    await run('volumes', container, { volumes })
    expect(
      await inside('volumes', 'cat /map/dir/a /map/b /only-b /about/cpu; ls /none; stat -L -c %a /map/b /map/dir/a'),
    ).toBe('1twotwo100666\n777\n')
    // The kernel's own mode of a tmpfs, also in a part of it; as large as its limit, or as the pod's memory.
    expect(await inside('volumes', 'stat -c %a /disk /part /mem /slice; df -m /mem /rest')).toMatch(
      /^777\n777\n1777\n1777\n[\s\S]*tmpfs +1 [\s\S]*tmpfs +40 /,
    )
    expect(await inside('volumes', 'for f in /map/x /sec/x /about/x; do touch $f 2>&1; done; true')).toMatch(
      /(Read-only file system[\s\S]*){3}/,
    )
    expect(await inside('volumes', 'cat /sec/pw 2>&1; dd if=/dev/zero of=/mem/x bs=1M count=2 2>&1; true')).toMatch(
      /denied[\s\S]*No space left/,
    )
    expect(await inside('volumes', 'touch /part/x && ls /disk/a/b; grep " /sec " /proc/mounts')).toMatch(/^x\ntmpfs/)
    await cluster.apply(configMap('settings', { a: 'NEW', b: 'three' }))
    await eventually('the new text', async () => (await inside('volumes', 'cat /map/dir/a /map/b')) === 'NEWthree', {
      timeoutMs: 60_000,
    })
    expect(await inside('volumes', 'cat /only-b')).toBe('two')
    await remove('volumes')
    const evicted = await until('greedy', (each) => each.status?.phase === 'Failed')
    expect(evicted.status).toMatchObject({
      reason: 'Evicted',
      message: 'Usage of EmptyDir volume "v" exceeds the limit "1Mi". ',
    })
    await remove('greedy')
  })
  it('subPath: a link that a container has put into its volume leads nowhere (CVE-2017-1002101, CVE-2021-25741)', async () => {
    const volume = join(cluster.dataDir, 'shared')
    const secret = join(cluster.dataDir, 'host-secret')
    writeFileSync(secret, 'of the node')
    const mount = { name: 'v', mountPath: '/v' }
    const volumes = [{ name: 'v', hostPath: { path: volume, type: 'DirectoryOrCreate' } }]
    await run('writer', shell(untilTold, { volumeMounts: [mount] }), { volumes })
    await inside('writer', `ln -s ${secret} /v/link; ln -s ${cluster.dataDir} /v/folder; ln -s ../../.. /v/up`)
    for (const subPath of ['link', 'folder/host-secret', 'up/host-secret']) {
      await cluster.apply(
        listOf(aPod('reader', shell(untilTold, { volumeMounts: [{ ...mount, subPath }] }), { volumes })),
      )
      const pod = await until(
        'reader',
        (each) => isRunning(each) || each.status?.containerStatuses?.[0]?.state?.waiting?.message,
      )
      if (isRunning(pod))
        expect(await inside('reader', 'cat /v 2>&1; cat /v/* 2>&1; true')).not.toContain('of the node')
      await remove('reader')
    }
    await remove('writer')
    rmSync(secret)
  })
  it('hostPath: checked by type', async () => {
    symlinkSync('/etc/hostname', join(cluster.dataDir, 'link'))
    const wrong = { name: 'v', hostPath: { path: cluster.dataDir, type: 'File' } }
    await cluster.apply(listOf(aPod('wrong', shell(untilTold), { volumes: [wrong] })))
    await eventually('the event', async () => {
      const { items } = await cluster.json<{ items: Event[] }>(['get', 'events'])
      return items.some((event) => event.reason === 'FailedMount' && event.message?.includes('is not a file'))
    })
    await remove('wrong')
  })
  it('streams: all of a large output, whoever reads slowly; a long command; files both ways; a port of the loopback, more than once', async () => {
    await run('server', shell('mkdir /www; echo loopback > /www/index.html; exec httpd -f -p 127.0.0.1:8081 -h /www'))
    const slow = cluster.spawnInside('sh', [
      '-c',
      `${preferredKubectl()} exec server -- head -c 30000000 /dev/zero | (sleep 2; wc -c)`,
    ])
    let text = ''
    slow.stdout?.on('data', (chunk) => (text += String(chunk)))
    await new Promise((done) => slow.once('close', done))
    expect(text.trim()).toBe('30000000')
    const long = 'a'.repeat(100_000)
    expect(await cluster.ok(['exec', 'server', '--', 'echo', long])).toBe(`${long}\n`)
    const file = join(cluster.dataDir, 'file')
    const bytes = Buffer.from(Array.from({ length: 1_000_003 }, (_, at) => (at * 7919) % 251))
    writeFileSync(file, bytes)
    await cluster.ok(['cp', file, 'server:/tmp/file'])
    await cluster.ok(['cp', 'server:/tmp/file', `${file}.back`])
    expect(readFileSync(`${file}.back`).equals(bytes)).toBe(true)
    const forward = cluster.spawnInside(preferredKubectl() ?? 'kubectl', ['port-forward', 'server', '18081:8081'])
    try {
      const ask = () => cluster.inside('curl', ['-s', 'http://127.0.0.1:18081/'])
      await eventually('an answer', async () => (await ask()).stdout === 'loopback\n')
      expect((await ask()).stdout).toBe('loopback\n')
      expect(forward.exitCode).toBeNull()
    } finally {
      forward.kill('SIGKILL')
    }
    await remove('server')
  })
  it('port-forward: what the pod ends is over, for every kubectl, though its client would go on', async () => {
    await run('brief', shell('exec nc -ll -p 8082 -e echo bye'))
    for (const { version, path } of kubectls()) {
      const forward = cluster.spawnInside(path, ['port-forward', 'brief', '18082:8082'])
      try {
        // The client keeps its own side open, and reads until it is told that there is no more.
        const read = 'exec 3<>/dev/tcp/127.0.0.1/18082 && timeout 10 cat <&3'
        const said = await eventually(`kubectl ${version}`, async () => {
          const { code, stdout } = await cluster.inside('bash', ['-c', read], { timeoutMs: 20_000 })
          return code !== 1 && `${code} ${stdout}`
        })
        expect([version, said]).toEqual([version, '0 bye\n'])
      } finally {
        forward.kill('SIGKILL')
      }
    }
    await remove('brief')
  })
  it('attach: whose input ends leaves a reader that goes on, and waits for one that reads it once', async () => {
    const say = (name: string, input: string) => cluster.kubectl(['attach', '-i', name], { input, timeoutMs: 20_000 })
    await run('reader', shell('cat', { stdin: true }))
    for (const line of ['one\n', 'two\n']) expect((await say('reader', line)).code).toBe(0)
    await eventually('its log', async () => (await cluster.ok(['logs', 'reader'])) === 'one\ntwo\n')
    expect((await get('reader')).status?.containerStatuses?.[0]).toMatchObject({ ready: true, restartCount: 0 })
    await run('once', shell('cat; sleep 1; echo end', { stdin: true, stdinOnce: true }), { restartPolicy: 'Never' })
    expect(await say('once', 'one\n')).toMatchObject({ code: 0, stdout: expect.stringMatching(/one\nend\n/) })
    await remove('reader', 'once')
  })
  it('afterwards nothing of it is left on the node', async () => {
    await sleep(200)
    await eventually('no record', async () => containerRecords(cluster).length === 0)
  })
})
