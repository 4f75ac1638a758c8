/*
 * The launcher's process: started by client.ts as `node main.ts <root>`, in a session of its own. It imports little,
 * so that it stays small. Its standard error is `<root>/launcher.log`.
 */
import { mkdirSync, rmSync } from 'node:fs'
import type { Log } from '../base/log.ts'
import { tryLock } from '../linux/process.ts'
import { adoptAll } from './adopt.ts'
import { LauncherServer } from './server.ts'

const root = process.argv[2]
if (!root) throw new Error('usage: node main.ts <root>')

const line =
  (level: string) =>
  (message: string, facts: Readonly<Record<string, unknown>> = {}) => {
    const text = JSON.stringify({ at: new Date().toISOString(), level, message, ...facts })
    process.stderr.write(`${text}\n`)
  }
const log: Log = { debug: () => {}, info: line('info'), warn: line('warn'), error: line('error') }

mkdirSync(root, { recursive: true, mode: 0o711 })
// Held until we die; whoever comes second leaves without a trace and its client finds the first.
if (tryLock(`${root}/.launcher.lock`) === undefined) process.exit(0)

process.title = `coracle-launcher ${root}`
process.umask(0o022)
process.on('uncaughtException', (error) => log.error('uncaught', { error: String(error.stack) }))
for (const signal of ['SIGHUP', 'SIGINT'] as const) process.on(signal, () => {})

const socket = `${root}/launcher.sock`
const server = new LauncherServer({
  root,
  log,
  onShutdown: () => {
    rmSync(socket, { force: true })
    setTimeout(() => process.exit(0), 10)
  },
})
rmSync(socket, { force: true })
adoptAll(server)
await server.listen(socket)
log.info('launcher ready', { pid: process.pid })
