/** An API server in a process of its own, for those who load it: `node api-server-process.ts <data dir> [<etcd endpoint>…]`. */
import { startServer } from '../../orchestrator/index.ts'
import { systemClock as clock } from '../../runtime/base/clock.ts'
import { silentLog as log } from '../../runtime/base/log.ts'

const [dataDir = '', ...endpoints] = process.argv.slice(2)
const store = endpoints.length > 0 ? ({ kind: 'etcd', endpoints } as const) : ({ kind: 'embedded' } as const)
const server = await startServer({ dataDir, store, listen: { host: '127.0.0.1', port: 0 }, log, clock })
const admin = await server.pki.issueClient({ commonName: 'bench', organizations: ['system:masters'] })
process.on('message', async (message) => {
  if (message === 'memory') process.send?.({ residentBytes: process.memoryUsage.rss() })
  else if (message === 'usage') process.send?.({ thread: process.threadCpuUsage(), process: process.cpuUsage() })
  else {
    await server.close()
    process.disconnect()
  }
})
process.on('disconnect', () => process.exit())
process.send?.({ port: server.port, ca: server.pki.caPem, cert: admin.certificatePem, key: admin.privateKeyPem })
