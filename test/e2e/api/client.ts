/**
 * The JavaScript client of the Kubernetes project at work in a node's network: prints what it has got as JSON.
 * Started by `api-clients.test.ts` with KUBECONFIG set; the argument is a pod that runs and listens on port 8080.
 */

import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import {
  Attach,
  CoreV1Api,
  Exec,
  KubeConfig,
  Log,
  Metrics,
  makeInformer,
  PatchStrategy,
  PortForward,
  setHeaderOptions,
  type V1ConfigMap,
  type V1Status,
  Watch,
} from '@kubernetes/client-node'

const [pod = ''] = process.argv.slice(2)
const namespace = 'default'
const config = new KubeConfig()
config.loadFromDefault()
const core = config.makeApiClient(CoreV1Api)

async function exec(command: string[], input?: string) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const stdin = input === undefined ? null : new PassThrough()
  const said = Promise.all([text(stdout), text(stderr)])
  const status = new Promise<V1Status>((resolve, reject) => {
    new Exec(config).exec(namespace, pod, 'main', command, stdout, stderr, stdin, false, resolve).catch(reject)
  })
  stdin?.end(input)
  const { status: result, message } = await status
  stdout.end()
  stderr.end()
  return { result, message, said: await said }
}

async function attach() {
  const stdout = new PassThrough()
  const first = new Promise<string>((resolve) => stdout.once('data', (data) => resolve(String(data))))
  const socket = await new Attach(config).attach(namespace, pod, 'main', stdout, null, null, false)
  const said = await first
  socket.close()
  return said.includes('tick')
}

async function logs() {
  const stream = new PassThrough()
  await new Log(config).log(namespace, pod, 'main', stream, { tailLines: 5 })
  return (await text(stream)).includes('tick')
}

async function forward() {
  const forwarder = new PortForward(config)
  const server = createServer((socket: Socket) => {
    void forwarder.portForward(namespace, pod, [8080], socket, null, socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.write('GET / HTTP/1.0\r\n\r\n')
  const answer = await new Promise<string>((resolve) => {
    let all = ''
    socket.on('data', (data) => {
      all += String(data)
      if (all.includes('page')) resolve(all)
    })
    socket.on('close', () => resolve(all))
  })
  socket.destroy()
  server.close()
  return answer.includes('page')
}

async function applyTwice() {
  const body: V1ConfigMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'by-client' }, data: { a: '1' } }
  const apply = (fieldManager: string, data: Record<string, string>) =>
    core.patchNamespacedConfigMap(
      { name: 'by-client', namespace, body: { ...body, data }, fieldManager },
      setHeaderOptions('Content-Type', PatchStrategy.ServerSideApply),
    )
  await apply('one', { a: '1' })
  const refused = await apply('two', { a: '2' }).then(
    () => 0,
    (error: { code: number }) => error.code,
  )
  const both = await apply('two', { b: '2' })
  return { refused, data: both.data }
}

async function heard() {
  const all: string[] = []
  const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, () =>
    core.listNamespacedConfigMap({ namespace }),
  )
  informer.on('add', (each) => void all.push(`informer ${each.metadata?.name}`))
  await informer.start()
  const watch = await new Watch(config).watch(
    `/api/v1/namespaces/${namespace}/configmaps`,
    { sendInitialEvents: true, allowWatchBookmarks: true, resourceVersionMatch: 'NotOlderThan' },
    (phase, each: V1ConfigMap) => void (phase === 'ADDED' && all.push(`watch ${each.metadata?.name}`)),
    () => {},
  )
  await core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'heard-of' } } })
  for (let tries = 0; tries < 100 && all.filter((each) => each.endsWith('heard-of')).length < 2; tries++)
    await new Promise((done) => setTimeout(done, 50))
  watch.abort()
  await informer.stop()
  return all.filter((each) => each.endsWith('heard-of')).sort()
}

async function metrics() {
  const { items } = await new Metrics(config).getPodMetrics(namespace)
  return items.find(({ metadata }) => metadata.name === pod)?.containers.map(({ name }) => name)
}

const result = {
  exec: await exec(['sh', '-c', 'echo out; echo err >&2; exit 3']),
  stdin: await exec(['cat'], 'given'),
  attach: await attach(),
  logs: await logs(),
  forward: await forward(),
  apply: await applyTwice(),
  heard: await heard(),
  metrics: await metrics(),
}
process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
