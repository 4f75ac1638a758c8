/**
 * Runs inside the node's network namespace and talks to the API server as any client does: HTTPS, JSON, a watch.
 * Argument: the kubeconfig. Prints JSON: milliseconds from POST to a watched Running, one pod at a time, and for 100.
 */
import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { resources } from '../../orchestrator/api/resources.ts'
import type { Pod } from '../../orchestrator/api/types.ts'
import { type HttpsClient, httpsClient } from '../../orchestrator/client/https-client.ts'

const alone = 40
const together = 100
const namespace = 'default'

interface Kubeconfig {
  clusters: { cluster: { server: string; 'certificate-authority-data': string } }[]
  users: { user: { 'client-certificate-data': string; 'client-key-data': string } }[]
}

function connect(path: string): HttpsClient {
  const { clusters, users } = parse(readFileSync(path, 'utf8')) as Kubeconfig
  const [{ cluster } = { cluster: undefined }, { user } = { user: undefined }] = [clusters[0], users[0]]
  const text = (encoded: string | undefined) => Buffer.from(encoded ?? '', 'base64').toString()
  return httpsClient({
    server: cluster?.server ?? '',
    caPem: text(cluster?.['certificate-authority-data']),
    user: {
      certificatePem: text(user?.['client-certificate-data']),
      privateKeyPem: text(user?.['client-key-data']),
    },
  })
}

const aPod = (name: string): Pod => ({
  metadata: { name, namespace },
  spec: {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'main', image: 'coracle.local/busybox:1', command: ['sleep', '10000'] }],
  },
})

/** Milliseconds until all of these are Running, from just before the first POST. */
async function untilRunning(client: HttpsClient, names: readonly string[]): Promise<number> {
  const { resourceVersion } = await client.list(resources.pods, { namespace })
  const stop = new AbortController()
  const missing = new Set(names)
  const watched = (async () => {
    for await (const event of client.watch(resources.pods, { namespace, resourceVersion, signal: stop.signal })) {
      if (event.type !== 'MODIFIED' || event.object.status?.phase !== 'Running') continue
      missing.delete(event.object.metadata?.name ?? '')
      if (missing.size === 0) return performance.now()
    }
    return Number.NaN
  })()
  const started = performance.now()
  await Promise.all(names.map((name) => client.create(resources.pods, aPod(name))))
  const ended = await watched
  stop.abort()
  return ended - started
}

async function remove(client: HttpsClient, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => client.delete(resources.pods, { namespace, name })))
  while ((await client.list(resources.pods, { namespace })).items.length > 0)
    await new Promise((done) => setTimeout(done, 50))
}

const client = connect(process.argv[2] ?? '')
const one: number[] = []
for (let round = 0; round < alone; round++) {
  one.push(await untilRunning(client, [`one-${round}`]))
  await remove(client, [`one-${round}`])
}
const many: number[] = []
for (let round = 0; round < 3; round++) {
  const names = Array.from({ length: together }, (_each, index) => `many-${round}-${index}`)
  many.push(await untilRunning(client, names))
  if (round < 2) await remove(client, names)
}
client.close()
console.log(JSON.stringify({ one, many }))
