import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { groupFolders } from '../../system/group-folders.ts'
import { patient } from '../../system/patience.ts'

/** The runtime under test, as an engine finds it. */
export const coracleOci = resolve(import.meta.dirname, '../../../bin/coracle-oci')

export interface Ran {
  status: number | null
  stdout: string
  stderr: string
}

/** Where somebody else's engine runs: its mounts, links and processes are gone when this is. */
export interface Sandbox extends AsyncDisposable {
  folder: string
  rootfs: string
  /** Below which the engine shall make its cgroups. */
  cgroup: string
  run(words: readonly string[], o?: { input?: string; env?: Record<string, string> }): Ran
  /** Without waiting for it. */
  start(words: readonly string[]): void
}

/** True when each of these programs is here. */
export function has(...programs: string[]): boolean {
  return programs.every((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0)
}

/** Mount, pid and network namespaces of their own, a fresh /run, and a root of busybox. */
export async function aSandbox(name: string): Promise<Sandbox> {
  const folder = mkdtempSync(join(tmpdir(), `coracle-${name}-`))
  const rootfs = makeRoot(join(folder, 'rootfs'))
  const flags = ['-m', '-n', '-p', '-f', '--kill-child', '--propagation', 'private', '--mount-proc']
  const begin = 'ip link set lo up && mount -t tmpfs none /run && exec sleep infinity'
  const holder = spawn('unshare', [...flags, 'sh', '-c', begin], { stdio: 'ignore' })
  const first = await childOf(holder)
  const enter = ['-t', String(first), '-m', '-n', '-p', '--']
  const cgroup = `coracle/test-${name}-${process.pid}`
  return {
    folder,
    rootfs,
    cgroup,
    run(words, { input = '', env = {} } = {}) {
      const options = { encoding: 'utf8', timeout: patient(40_000), input, env: { ...process.env, ...env } } as const
      const { status, stdout, stderr } = spawnSync('nsenter', [...enter, ...words], options)
      return { status, stdout, stderr }
    },
    start(words) {
      spawn('nsenter', [...enter, ...words], { stdio: 'ignore' })
    },
    async [Symbol.asyncDispose]() {
      const gone = new Promise((done) => holder.once('exit', done))
      holder.kill('SIGKILL')
      await gone
      for (let tries = 0; existsSync(`/proc/${first}`) && tries < 500; tries++) await sleep(10)
      removeGroups(cgroup)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** The process that unshare has become the parent of, once it has execed what it holds the namespaces with. */
async function childOf(holder: ChildProcess): Promise<number> {
  for (let tries = 0; tries < 500; tries++) {
    await sleep(10)
    const [child] = readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'utf8').split(' ')
    if (child && readFileSync(`/proc/${child}/cmdline`, 'utf8').startsWith('sleep')) return Number(child)
  }
  throw new Error('no namespaces: unshare has not come up')
}

function makeRoot(rootfs: string): string {
  for (const path of ['bin', 'etc', 'tmp', 'root', 'data']) mkdirSync(join(rootfs, path), { recursive: true })
  copyFileSync('/bin/busybox', join(rootfs, 'bin/busybox'))
  const applets = spawnSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).stdout.split('\n')
  for (const applet of applets) if (applet && applet !== 'busybox') symlinkSync('busybox', join(rootfs, 'bin', applet))
  writeFileSync(join(rootfs, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n')
  writeFileSync(join(rootfs, 'etc/group'), 'root:x:0:\n')
  return rootfs
}

function removeGroups(cgroup: string): void {
  for (const folder of groupFolders(cgroup)) {
    spawnSync('find', [folder, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'])
  }
}

/** The part of a sandbox' name that nothing else on this machine carries. */
export const markOf = ({ folder }: Sandbox) => basename(folder).slice('coracle-'.length)
