import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CgroupNode } from '../../runtime/cgroups/inspect.ts'
import { aFixture, type Fixture, traces } from './runtime-fixture.ts'

const coracle = resolve(import.meta.dirname, '../../bin/coracle')
const isV2 = existsSync('/sys/fs/cgroup/cgroup.controllers')

/** `coracle cgroups` as a person or a script calls it. */
describe.skipIf(process.getuid?.() !== 0)('coracle cgroups (needs root)', () => {
  let on: Fixture
  let path: string
  let pid: number
  beforeAll(async () => {
    on = await aFixture('show')
    const spec = on.spec(['sh', '-c', 'while :; do :; done'], (made) => {
      made.linux.resources = {
        memory: { limit: 64 * 2 ** 20 },
        cpu: { quota: 20_000, period: 100_000 },
        pids: { limit: 9 },
      }
    })
    path = spec.linux?.cgroupsPath ?? ''
    await on.runtime.create({ id: 'busy', spec })
    pid = (await on.runtime.start('busy')).pid ?? 0
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    expect(traces(on.mark)).toEqual([])
    expect(traces(`test-show-${process.pid}`)).toEqual([])
  })
  const cgroups = (...args: string[]) =>
    spawnSync(coracle, ['cgroups', '--data-dir', on.folder, ...args], { encoding: 'utf8', timeout: 60_000 })

  /** What it says until that is enough, and it is ended. */
  async function watch(isEnough: (text: string) => boolean, ...args: string[]): Promise<string> {
    const child = spawn(coracle, ['cgroups', '--watch', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    const gone = new Promise((done) => child.once('exit', done))
    let text = ''
    for await (const chunk of child.stdout) {
      text += String(chunk)
      if (isEnough(text)) break
    }
    child.kill('SIGKILL')
    await gone
    return text
  }

  it('text: limits, use and processes, by path with and without the mount point, and by the group above', () => {
    for (const name of [path, `/${path}`, `/sys/fs/cgroup/${path}/`]) {
      const { stdout, status } = cgroups(name)
      const [head = '', row = '', command = ''] = stdout.split('\n')
      expect({ status, head }).toEqual({
        status: 0,
        head: expect.stringMatching(/^GROUP +CPU s +OF +MEMORY .*LIMIT +PIDS/),
      })
      expect(row).toMatch(new RegExp(`^${path} +\\d+\\.\\d\\d +0\\.2 cpu .* 64M +1/9`))
      expect(command.trim()).toBe(`${pid} sh -c while :; do :; done`)
    }
    const above = path.slice(0, path.lastIndexOf('/'))
    expect(cgroups(above).stdout).toMatch(new RegExp(`^${above} .*\\n {2}${path.slice(above.length + 1)} `, 'm'))
  })

  it('--json: the same as numbers; pressure where the kernel measures it', () => {
    const node = JSON.parse(cgroups('--json', path).stdout) as CgroupNode
    expect(node).toMatchObject({
      path,
      limits: { memoryBytes: 64 * 2 ** 20, cpus: 0.2, pids: 9 },
      processes: [{ pid }],
      groups: [],
    })
    expect(node.usage.cpuUsageNanoseconds).toBeGreaterThan(0)
    expect(node.usage.cpuThrottledPeriods).toBeGreaterThanOrEqual(0)
    expect(node.pressure !== undefined).toBe(isV2 && existsSync(`/sys/fs/cgroup/${path}/cpu.pressure`))
  })

  it('--watch: again every second, with processor use as a rate that keeps to the limit', async () => {
    const screensOf = (text: string) => text.split('\x1b[H\x1b[2J').filter(Boolean)
    const screens = screensOf(await watch((text) => screensOf(text).length > 3, path))
    expect(screens[0]).toMatch(/^GROUP +CPU %/)
    const rate = Number(/^\S+ +([\d.]+)/m.exec(screens.at(-1)?.split('\n')[1] ?? '')?.[1])
    expect(rate).toBeGreaterThan(2)
    expect(rate).toBeLessThan(40)
  })

  it('--watch --json: one line a second, each a whole tree', async () => {
    const text = await watch((all) => all.split('\n').length > 3, '--json', path)
    const lines = text.slice(0, text.lastIndexOf('\n')).split('\n')
    const [first = 0, last = 0] = [lines[0], lines.at(-1)].map(
      (line) => (JSON.parse(line ?? '') as CgroupNode).usage.cpuUsageNanoseconds,
    )
    expect(last).toBeGreaterThan(first)
  })

  it('neither a group nor a container: said, with what to do', () => {
    const { status, stderr } = cgroups('nothing-like-it')
    expect(status).toBe(1)
    expect(stderr).toMatch(/no such group, and no container with this id/)
  })
})
