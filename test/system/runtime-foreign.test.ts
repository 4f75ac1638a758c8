import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasCode } from '../../runtime/base/errors.ts'
import type { RuntimeHandler } from '../../runtime/index.ts'
import { aFixture, type Fixture, finish, logText, textOf, traces } from './runtime-fixture.ts'

const isRoot = process.getuid?.() === 0
const hasRunc = spawnSync('/usr/sbin/runc', ['--version']).status === 0
const runc: RuntimeHandler = { name: 'runc', binary: '/usr/sbin/runc' }

describe.skipIf(!isRoot || !hasRunc)(
  "another OCI runtime behind the launcher: Debian's runc (needs root and runc)",
  () => {
    let on: Fixture
    beforeAll(async () => {
      on = await aFixture('foreign')
    })
    afterAll(async () => {
      await on[Symbol.asyncDispose]()
      expect(traces('foreign-')).toEqual([])
    })

    const log = (id: string) => join(on.folder, `${id}.log`)
    const create = (id: string, args: string[], more: object = {}) =>
      on.runtime.create({ id, spec: on.spec(args), log: { path: log(id) }, handler: runc, ...more })
    const isAlive = (pid: number | undefined) =>
      existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
    const processName = (pid: number | undefined) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim()

    it('create, start, exit: output, exit code and events are as with ours', async () => {
      const stop = new AbortController()
      const seen: string[] = []
      const listening = (async () => {
        for await (const event of on.runtime.events(stop.signal)) if (event.id === 'a') seen.push(event.type)
      })()
      await sleep(50)
      const created = await create('a', ['sh', '-c', 'echo out; echo err >&2; exit 9'])
      expect(created.status).toBe('created')
      expect(processName(created.pid)).toMatch(/^runc/)
      expect((await on.runtime.start('a')).startedAt).toBeDefined()
      expect(await on.runtime.wait('a')).toMatchObject({ status: 'stopped', exitCode: 9 })
      expect(logText(log('a')).split('\n').toSorted()).toEqual(['err', 'out'])
      await on.runtime.delete('a')
      await expect.poll(() => seen).toEqual(['started', 'exited'])
      stop.abort()
      await listening
    })

    it('an overlay root, seen by the container alone', async () => {
      const [upper, work] = ['upper', 'work'].map((name) => join(on.folder, name)) as [string, string]
      for (const folder of [upper, work]) mkdirSync(folder)
      const spec = on.spec(['sh', '-c', 'echo kept > /data/file && cat /data/file'], (one) => {
        one.root.readonly = false
      })
      const rootfs = { overlay: { lower: [on.rootfs], upper, work } }
      await on.runtime.create({ id: 'b', spec, rootfs, log: { path: log('b') }, handler: runc })
      expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(on.mark)
      await on.runtime.start('b')
      expect((await on.runtime.wait('b')).exitCode).toBe(0)
      expect(logText(log('b'))).toBe('kept')
      expect(readFileSync(join(upper, 'data/file'), 'utf8')).toBe('kept\n')
      await on.runtime.delete('b')
    })

    it('exec: exit code, input, a terminal; pause, resume, update, stats, kill', async () => {
      await create('c', ['sleep', '600'])
      await on.runtime.start('c')
      expect(await finish(await on.runtime.exec('c', { args: ['sh', '-c', 'echo in; echo no >&2; exit 3'] }))).toEqual({
        stdout: 'in\n',
        stderr: 'no\n',
        exitCode: 3,
      })
      const cat = await on.runtime.exec('c', { args: ['cat'], stdin: true })
      cat.stdin?.end('through\n')
      expect((await finish(cat)).stdout).toBe('through\n')
      const tty = await on.runtime.exec('c', {
        args: ['sh', '-c', 'tty; stty size'],
        terminal: { columns: 91, rows: 17 },
      })
      expect(await textOf(tty.stdout)).toMatch(/^\/dev\/pts\/\d+\r\n/)
      expect((await tty.exit).exitCode).toBe(0)
      await on.runtime.pause('c')
      expect((await on.runtime.state('c')).status).toBe('paused')
      await on.runtime.resume('c')
      expect((await on.runtime.state('c')).status).toBe('running')
      await on.runtime.update('c', { memory: { limit: 64 * 2 ** 20 }, pids: { limit: 55 } })
      expect((await on.runtime.stats('c')).memoryLimitBytes).toBe(64 * 2 ** 20)
      await on.runtime.kill('c', 'TERM')
      // Process 1 of a pid namespace takes no signal that it has no handler for, but SIGKILL.
      await sleep(100)
      expect((await on.runtime.state('c')).status).toBe('running')
      await on.runtime.kill('c', 'KILL')
      expect(await on.runtime.wait('c')).toMatchObject({ exitCode: 137, signal: 9 })
      await on.runtime.delete('c')
    })

    it('a terminal of the container itself', async () => {
      const spec = on.spec(['sh', '-c', 'tty && read line && echo got $line'], (one) => {
        if (one.process) one.process.terminal = true
      })
      await on.runtime.create({ id: 'd', spec, stdin: true, log: { path: log('d') }, handler: runc })
      await on.runtime.start('d')
      const session = await on.runtime.attach('d', { stdin: true })
      // Not before it has spoken: what is typed is echoed at once.
      await expect.poll(() => logText(log('d'))).toMatch(/^\/dev\/(pts\/0|console)/)
      session.stdin?.write('word\n')
      expect((await on.runtime.wait('d')).exitCode).toBe(0)
      expect(logText(log('d'))).toMatch(/^\/dev\/(pts\/0|console)/)
      expect(logText(log('d'))).toContain('got word')
      await on.runtime.delete('d')
    })

    it('a launcher that is killed: the next one takes the container over', async () => {
      await create('e', ['sh', '-c', 'while true; do echo tick; sleep 0.05; done'])
      await on.runtime.start('e')
      const { pid } = await on.runtime.state('e')
      process.kill(on.launcherPid(), 'SIGKILL')
      await sleep(300)
      await on.reopen()
      expect((await on.runtime.state('e')).pid).toBe(pid)
      await on.runtime.delete('e', { force: true })
      // Whoever has inherited it may not have reaped it yet.
      expect(isAlive(pid)).toBe(false)
    })

    it('what it refuses is told in its words, and nothing is left', async () => {
      const refused = await create('f', ['/no/such/program'])
        .then(() => on.runtime.start('f'))
        .catch((error) => error)
      expect(hasCode(refused, 'FOREIGN_FAILED')).toBe(true)
      expect(refused.message).toMatch(/runc (create|start) f: .*no such file or directory/)
      await on.runtime.delete('f', { force: true })
      const missing: RuntimeHandler = { name: 'none', binary: '/no/such/runtime' }
      const none = await create('g', ['true'], { handler: missing }).catch((error) => error)
      expect(none.message).toMatch(/execve\("\/no\/such\/runtime".*ENOENT/)
      expect((await on.runtime.list()).map(({ id }) => id)).toEqual([])
      expect(existsSync(join(on.root, 'g'))).toBe(false)
    })

    it('one that ends without reading what it is given: its exit is the error', async () => {
      await create('i', ['sleep', '600'])
      const state = join(on.root, 'i/state.json')
      const written = readFileSync(state, 'utf8')
      writeFileSync(state, written.replace('/usr/sbin/runc', '/bin/false'))
      // More than a pipe holds: whoever writes it hears that nobody reads.
      const much = { unified: { 'memory.low': ' '.repeat(2 ** 18) } }
      await expect(on.runtime.update('i', much)).rejects.toMatchObject({ code: 'FOREIGN_FAILED' })
      writeFileSync(state, written)
      await on.runtime.delete('i', { force: true })
    })

    it('kill -9 of its process, and delete by force while it runs', async () => {
      await create('h', ['sleep', '600'])
      await on.runtime.start('h')
      const { pid = 0 } = await on.runtime.state('h')
      process.kill(pid, 'SIGKILL')
      expect((await on.runtime.wait('h')).exitCode).toBe(137)
      await on.runtime.delete('h')
      await create('h', ['sleep', '600'])
      await on.runtime.delete('h', { force: true })
      expect(await on.runtime.list()).toEqual([])
    })
  },
)
