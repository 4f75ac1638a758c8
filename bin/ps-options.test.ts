import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { psColumnNames, psHost } from '../runtime/container/ps-columns.ts'
import { psTable } from '../runtime/container/ps-table.ts'
import { processTable } from '../runtime/linux/process-table.ts'
import { psRequest } from './ps-options.ts'

const hasPs = /procps/.test(spawnSync('ps', ['--version'], { encoding: 'utf8' }).stdout ?? '')

/** What `ps OPTIONS` says of these processes, as `runc ps` finds it: by the column with the pid. */
function byPs(options: readonly string[], pids: readonly number[]): string[] {
  const [titles = '', ...rows] = spawnSync('ps', [...options], { encoding: 'utf8' })
    .stdout.trimEnd()
    .split('\n')
  const at = titles.trim().split(/\s+/).indexOf('PID')
  return [titles, ...rows.filter((row) => pids.includes(Number(row.trim().split(/\s+/)[at])))]
}

const byUs = (options: readonly string[], pids: readonly number[]) =>
  psTable(psRequest(options), processTable(pids), psHost())

/** A second may begin between the two looks, and shares of time change with each: less so as the processes grow older. */
async function sameLines(options: readonly string[], pids: readonly number[]): Promise<void> {
  let [theirs, ours] = [['none'], ['yet']]
  for (let tries = 0; tries < 20 && theirs.join('\n') !== ours.join('\n'); tries++) {
    theirs = byPs(options, pids)
    ours = byUs(options, pids)
    await sleep(tries * 10)
  }
  expect(ours).toEqual(theirs)
}

/** Processes of several kinds: a chain, a nice one, a leader of a session, a zombie, one that has used time, one with a strange name. */
async function someProcesses(): Promise<number[]> {
  const script = `nice -n 7 sleep 60 & setsid sleep 61 & true & i=0; while [ $i -lt 15000 ]; do i=$((i+1)); done
    exec -a "two words" sleep 62 & echo ready; exec sleep 63`
  const shell = spawn('bash', ['-c', script], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] })
  await once(shell.stdout, 'data')
  const { pid = 0 } = shell
  const rows = spawnSync('ps', ['-eo', 'pid=,ppid='], { encoding: 'utf8' }).stdout.trim().split('\n')
  const children = rows.map((row) => row.trim().split(/\s+/).map(Number)).filter(([, parent]) => parent === pid)
  return [pid, ...children.map(([child = 0]) => child)].toSorted((a, b) => a - b)
}

describe('psRequest', () => {
  it.each([
    ['-e -a', /ps: a of -a is not there/],
    ['-efH', /ps: H of -efH is not there/],
    ['-p 1', /ps: p of -p is not there/],
    ['aux f', /ps: f is not there/],
    ['--sort=rss', /ps: --sort=rss is not there/],
    ['-e -', /ps: - is not there/],
    ['-eo pid,colour', /ps: no column colour: there are %cpu %mem/],
    ['-eo', /ps: -o needs names of columns/],
    ['-jl', /ps: the formats j and l do not go together/],
  ])('%s: is refused by name', (options, reason) => {
    expect(() => psRequest(options.split(' '))).toThrow(reason)
  })

  it('--no-headers, and empty titles: no line of titles', () => {
    expect(psRequest(['-ef', '--no-headers']).withTitles).toBe(false)
    expect(byUs(['-o', 'pid=', '-o', 'comm='], [process.pid])).toHaveLength(1)
  })

  it('what a container writes into its command line moves nobody’s cursor', async () => {
    const child = spawn('sleep', ['60'], { argv0: 'a\u001b[2Jb\nc' })
    await once(child, 'spawn')
    try {
      expect(byUs(['-eo', 'args'], [child.pid ?? 0])).toEqual(['COMMAND', 'a?[2Jb?c 60'])
    } finally {
      child.kill('SIGKILL')
    }
  })
})

describe.skipIf(!hasPs)('beside ps(1) of procps', () => {
  let pids: number[] = []
  beforeAll(async () => {
    pids = await someProcesses()
  })
  afterAll(() => {
    for (const pid of pids) process.kill(pid, 'SIGKILL')
  })

  it.each([
    '-ef',
    '-e',
    '-eF',
    '-el',
    '-efl',
    '-ej',
    '-efj',
    '-A -f -ww',
    'ax',
    'aux',
    '-aux',
    'axl',
    'axj',
    '-e -o pid,ppid=Parent,comm',
    '-eo pid -o args',
    '-eopid,user=TheOneWhoOwnsIt,stat,args',
    'axo pid,tty,etimes,comm',
    '-eo comm,pid,args,state',
    '-e --format pid,cmd',
  ])('%s: the same lines', async (options) => {
    await sameLines(options.split(' '), pids)
  })

  it.each([...psColumnNames])('-o %s: the same as there', async (name) => {
    await sameLines(['-eo', `pid,${name},comm`], pids)
  })
})
