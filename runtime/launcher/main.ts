/*
 * The launcher's process: started by client.ts as `node main.ts <root>`, in a session of its own. It imports little,
 * so that it stays small. Its standard error is `<root>/launcher.log`.
 */
import { spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import type { Log } from '../base/log.ts'
import { tryLock } from '../linux/process.ts'
import { adoptAll } from './adopt.ts'
import { LauncherServer } from './server.ts'

const [, main = '', root, first] = process.argv
if (!root) throw new Error('usage: node main.ts <root> [cold]')
if (first === 'cold') startAgain(main, root)

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
let isReady = false
process.on('uncaughtException', (error) => {
  log.error('uncaught', { error: String(error.stack) })
  if (!isReady) process.exit(1)
})
for (const signal of ['SIGHUP', 'SIGINT'] as const) process.on(signal, () => {})

const socket = `${root}/launcher.sock`
const server = new LauncherServer({
  root,
  log,
  onShutdown: () => {
    rmSync(socket, { force: true })
    setTimeout(() => process.exit(0), 10)
  },
  // A burst of births leaves some 3 MB, which V8 would keep until the next one.
  onIdle: () => void globalThis.gc?.(),
})
rmSync(socket, { force: true })
adoptAll(server)
await server.listen(socket)
isReady = true
log.info('launcher ready', { pid: process.pid })

/**
 * Without its compile cache Node keeps the TypeScript compiler in memory, some 35 MB for as long as it lives: so the
 * first start on a machine only fills the cache, and the launcher is the second.
 */
function startAgain(main: string, root: string): never {
  flushCompileCache()
  spawn(process.execPath, [...process.execArgv, main, root], { detached: true, stdio: 'inherit', cwd: '/' }).unref()
  process.exit(0)
}
