/** Bad input is answered the way Kubernetes answers it: code, reason, field path; nothing crashes, nothing is half made. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Pod } from '../../orchestrator/api/types.ts'
import { Cluster, configMap, containerRecords, eventually, preferredKubectl } from './cluster.ts'

const pod = (spec: string, name = 'bad') => `
apiVersion: v1
kind: Pod
metadata: { name: ${name} }
spec: ${spec}
`
const oneContainer = (fields: string) => `{ terminationGracePeriodSeconds: 1, containers: [{ name: main, ${fields} }] }`

describe.skipIf(preferredKubectl() === undefined)('bad input', () => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.start()
  })
  afterAll(async () => {
    await cluster?.[Symbol.asyncDispose]()
  })
  /** POSTs to the pods of `default`, past kubectl's own checks. */
  const post = async (body: string, query = '') => {
    const file = join(cluster.dataDir, 'body')
    writeFileSync(file, body)
    const { stdout } = await cluster.kubectl([
      'create',
      '--raw',
      `/api/v1/namespaces/default/pods${query}`,
      '-f',
      file,
      '-v=8',
    ])
    return stdout
  }
  const refused = async (manifest: string) => {
    const { code, stderr } = await cluster.kubectl(['create', '--validate=false', '-f', '-'], { input: manifest })
    expect(code).toBe(1)
    return stderr
  }
  const waitingFor = (name: string, reason: string) =>
    eventually(
      `${name} ${reason}`,
      async () => {
        const found = await cluster.json<Pod>(['get', 'pod', name])
        const waiting = found.status?.containerStatuses?.[0]?.state?.waiting
        return waiting?.reason === reason ? (waiting.message ?? '') : undefined
      },
      { describe: () => cluster.ok(['describe', 'pod', name]) },
    )

  it('an unknown field: refused strictly, with its path', async () => {
    const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], {
      input: pod('{ containers: [], colour: red }'),
    })
    expect(code).toBe(1)
    expect(stderr).toMatch(/strict decoding error: unknown field "spec\.colour"/)
  })
  it('a wrong type: 400 with the path', async () => {
    expect(await refused(pod('{ containers: not-a-list }'))).toMatch(/BadRequest|cannot unmarshal|expected/)
    expect(await refused(pod(oneContainer('image: x, tty: "yes"')))).toMatch(/BadRequest.*tty|tty/)
  })
  it('a duplicate container name', async () => {
    const text = await refused(pod('{ containers: [{ name: a, image: one }, { name: a, image: two }] }'))
    expect(text).toContain('Pod "bad" is invalid: spec.containers[1].name: Duplicate value: "a"')
  })
  it('a bad quantity', async () => {
    const text = await refused(pod(oneContainer('image: x, resources: { limits: { memory: 12Quarks } }')))
    expect(text).toMatch(/quantities must match the regular expression/)
  })
  it('a request above its limit', async () => {
    const text = await refused(
      pod(oneContainer('image: x, resources: { requests: { cpu: "2" }, limits: { cpu: "1" } }')),
    )
    expect(text).toContain(
      'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
    )
  })
  it('no containers, no image', async () => {
    expect(await refused(pod('{ containers: [] }'))).toMatch(/spec\.containers: Required value/)
    expect(await refused(pod('{ containers: [{ name: a }] }'))).toMatch(/spec\.containers\[0\]\.image: Required value/)
  })
  it('a name that is no DNS label', async () => {
    const text = await refused(pod(oneContainer('image: x'), '"Bad_Name"'))
    expect(text).toMatch(/metadata\.name: Invalid value: "Bad_Name": a lowercase RFC 1123 subdomain must consist of/)
    expect(await refused(pod('{ containers: [{ name: Web, image: x }] }'))).toMatch(
      /spec\.containers\[0\]\.name: Invalid value: "Web": a lowercase RFC 1123 label must consist of/,
    )
  })
  it('a namespace that is not there', async () => {
    const { stderr } = await cluster.kubectl(['apply', '-n', 'nowhere', '-f', '-'], {
      input: pod(oneContainer('image: x')),
    })
    expect(stderr).toMatch(/namespaces "nowhere" not found/)
  })
  it('a body of 10 MB: 413', async () => {
    const body = JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'big' },
      data: { a: 'x'.repeat(10e6) },
    })
    const file = join(cluster.dataDir, 'big.json')
    writeFileSync(file, body)
    const { code, stderr } = await cluster.kubectl(['create', '-f', file])
    expect(code).toBe(1)
    expect(stderr).toMatch(/RequestEntityTooLarge|too large/i)
  })
  it('no JSON at all', async () => {
    expect(await post('{"kind": "Pod", ')).not.toContain('"uid"')
  })
  it('an image that is not there: ErrImagePull, then ImagePullBackOff with the cause', async () => {
    await cluster.apply(pod(oneContainer('image: "127.0.0.1:59999/no/such:1"'), 'missing'))
    await waitingFor('missing', 'ErrImagePull')
    expect(await waitingFor('missing', 'ImagePullBackOff')).toMatch(/127\.0\.0\.1:59999.*ECONNREFUSED/s)
    expect(await cluster.ok(['get', 'pods'])).toMatch(/missing\s+0\/1\s+ImagePullBackOff/)
    await cluster.ok(['delete', 'pod', 'missing', '--now'])
  })
  it('imagePullPolicy Never: ErrImageNeverPull', async () => {
    await cluster.apply(pod(oneContainer('image: "no/such:1", imagePullPolicy: Never'), 'never'))
    await waitingFor('never', 'ErrImageNeverPull')
    await cluster.ok(['delete', 'pod', 'never', '--now'])
  })
  it('a ConfigMap that is not there: CreateContainerConfigError, and it runs once the map comes', async () => {
    const env = 'env: [{ name: A, valueFrom: { configMapKeyRef: { name: later, key: key } } }]'
    await cluster.apply(
      pod(oneContainer(`image: "coracle.local/busybox:1", command: [sleep, "1000"], ${env}`), 'waits'),
    )
    expect(await waitingFor('waits', 'CreateContainerConfigError')).toBe('configmap "later" not found')
    await cluster.apply(configMap('later', { key: 'value' }))
    await eventually(
      'Running',
      async () => (await cluster.json<Pod>(['get', 'pod', 'waits'])).status?.phase === 'Running',
    )
    await cluster.ok(['delete', 'pod', 'waits', '--now'])
  })
  it('a program that is not in the image: the cause by name', async () => {
    await cluster.apply(pod(oneContainer('image: "coracle.local/busybox:1", command: [/no/such/program]'), 'noprog'))
    const message = await eventually('an error', async () => {
      const found = await cluster.json<Pod>(['get', 'pod', 'noprog'])
      const waiting = found.status?.containerStatuses?.[0]?.state?.waiting
      return /RunContainerError|CreateContainerError/.test(waiting?.reason ?? '') && waiting?.message
    })
    expect(message).toMatch(/\/no\/such\/program.*(ENOENT|no such file)/is)
    await cluster.ok(['delete', 'pod', 'noprog', '--now'])
  })
  it('a program that fails again and again: CrashLoopBackOff', async () => {
    await cluster.apply(pod(oneContainer('image: "coracle.local/busybox:1", command: ["false"]'), 'crash'))
    expect(await waitingFor('crash', 'CrashLoopBackOff')).toMatch(
      /^back-off 10s restarting failed container=main pod=crash_default/,
    )
    await cluster.ok(['delete', 'pod', 'crash', '--now'])
  })
  it('a pod that no node can take: Pending, with the reason', async () => {
    await cluster.apply(pod(oneContainer('image: x, resources: { requests: { cpu: "1000" } }'), 'huge'))
    await eventually('the event', async () =>
      (await cluster.ok(['get', 'events'])).includes('0/1 nodes are available: 1 Insufficient cpu.'),
    )
    expect(await cluster.ok(['get', 'pods'])).toMatch(/huge\s+0\/1\s+Pending/)
    await cluster.ok(['delete', 'pod', 'huge', '--now'])
  })
  it('what this node cannot do: refused, not ignored', async () => {
    const volumes = 'volumes: [{ name: v, nfs: { server: a, path: /b } }]'
    await cluster.apply(pod(`{ ${volumes}, containers: [{ name: main, image: x }] }`, 'nfs'))
    const found = await eventually('Failed', async () => {
      const each = await cluster.json<Pod>(['get', 'pod', 'nfs'])
      return each.status?.phase === 'Failed' && each
    })
    expect(found.status?.message).toMatch(/spec\.volumes\[v\].*nfs.* not supported by this node/)
    await cluster.ok(['delete', 'pod', 'nfs', '--now'])
  })
  it('afterwards nothing of it is left on the node', async () => {
    await eventually('no record', async () => {
      const left = containerRecords(cluster)
      return left.length === 0
    })
    expect(await cluster.ok(['get', 'nodes'])).toMatch(/Ready/)
  })
})
