import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { errnoOf } from '../../runtime/base/errors.ts'
import { type Log, silentLog } from '../../runtime/base/log.ts'
import { type OciSpec, openRuntime, type Runtime, type Session } from '../../runtime/index.ts'
import { defaultSpec } from '../../runtime/spec/default-spec.ts'
import { patience } from './patience.ts'

const applets =
  'sh true false cat ls sleep mount unshare id ps echo hostname grep head dd yes kill touch mkdir chroot printf test tty stty wc seq readlink stat find ionice env uname'

/** A folder with a static busybox as the root of containers, a runtime root, and everything to clean up. */
export interface Fixture extends AsyncDisposable {
  folder: string
  /** The part of the folder's name that nothing else on this machine carries. */
  mark: string
  root: string
  rootfs: string
  runtime: Runtime
  warnings: string[]
  launcherPid(): number
  /** A config.json that runs `args`. */
  spec(args: string[], change?: (spec: Required<OciSpec>) => void): OciSpec
  /** Creates, starts, waits, deletes; the log's text without its prefixes. */
  run(
    args: string[],
    change?: (spec: Required<OciSpec>) => void,
  ): Promise<{ output: string; exitCode: number | undefined }>
  reopen(): Promise<void>
}

let count = 0

export async function aFixture(name: string): Promise<Fixture> {
  const folder = mkdtempSync(join(tmpdir(), `coracle-${name}-`))
  const root = join(folder, 'run')
  const rootfs = join(folder, 'rootfs')
  for (const path of ['bin', 'etc', 'tmp', 'data']) mkdirSync(join(rootfs, path), { recursive: true })
  copyFileSync('/bin/busybox', join(rootfs, 'bin/busybox'))
  for (const applet of applets.split(' ')) symlinkSync('busybox', join(rootfs, 'bin', applet))
  const warnings: string[] = []
  const log: Log = { ...silentLog, warn: (message) => void warnings.push(message) }
  const cgroup = `coracle/test-${name}-${process.pid}`
  let runtime = await openRuntime({ root, log })
  const spec: Fixture['spec'] = (args, change = () => {}) => {
    const made = defaultSpec() as Required<OciSpec>
    made.root = { path: rootfs, readonly: true }
    if (made.process) Object.assign(made.process, { terminal: false, args })
    made.linux = { ...made.linux, cgroupsPath: `${cgroup}/c${count++}` }
    change(made)
    return made
  }
  return {
    folder,
    mark: basename(folder).slice('coracle-'.length),
    root,
    rootfs,
    warnings,
    spec,
    get runtime() {
      return runtime
    },
    launcherPid: () => launcherPid(root),
    async reopen() {
      await runtime.close()
      runtime = await openRuntime({ root, log })
    },
    async run(args, change) {
      const id = `run${count++}`
      const path = join(folder, `${id}.log`)
      await runtime.create({ id, spec: spec(args, change), log: { path } })
      await runtime.start(id)
      const { exitCode } = await runtime.wait(id)
      await runtime.delete(id)
      return { output: logText(path), exitCode }
    },
    async [Symbol.asyncDispose]() {
      for (const { id } of await runtime.list()) await runtime.delete(id, { force: true })
      await runtime.removeGroup(cgroup)
      const launcher = launcherPid(root)
      await runtime.shutdownLauncher()
      await runtime.close()
      for (let tries = 0; existsSync(`/proc/${launcher}`) && tries < 500 * patience; tries++) await sleep(10)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Lines of a CRI log, without time, stream and tag. */
export function logText(path: string): string {
  if (!existsSync(path)) return ''
  const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean)
  return lines.map((line) => line.split(' ').slice(3).join(' ')).join('\n')
}

/** Everything a stream has to say, once it has ended. */
export async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

/** Output and exit code of a session. */
export async function finish(session: Session): Promise<{ stdout: string; stderr: string; exitCode: number }> {
  const [stdout, stderr, { exitCode }] = await Promise.all([
    textOf(session.stdout),
    session.stderr ? textOf(session.stderr) : '',
    session.exit,
  ])
  return { stdout, stderr, exitCode }
}

function launcherPid(root: string): number {
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      if (readFileSync(`/proc/${name}/cmdline`, 'utf8').startsWith(`coracle-launcher ${root}`)) return Number(name)
    } catch {
      // Processes come and go while we look.
    }
  }
  throw new Error(`no launcher of ${root}`)
}

/** None of a folder that is not there: groups of others come and go while we look. */
function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') return []
    throw error
  }
}

/** What on this machine could be ours: cgroups, mounts and processes that carry `name`, open descriptors aside. */
export function traces(name: string): string[] {
  const found: string[] = []
  const walk = (folder: string, depth: number) => {
    if (depth > 4) return
    for (const entry of entriesOf(folder)) {
      if (!entry.isDirectory()) continue
      if (entry.name.includes(name)) found.push(`${folder}/${entry.name}`)
      walk(`${folder}/${entry.name}`, depth + 1)
    }
  }
  // In version 2 files lie beside the folders.
  for (const hierarchy of entriesOf('/sys/fs/cgroup')) {
    if (!hierarchy.isFile()) walk(`/sys/fs/cgroup/${hierarchy.name}/coracle`, 0)
  }
  walk('/sys/fs/cgroup/coracle', 0)
  found.push(
    ...readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .filter((line) => line.includes(name)),
  )
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      if (Number(pid) !== process.pid && command.includes(`coracle-${name}`)) found.push(`${pid} ${command}`)
    } catch {
      // Processes come and go while we look.
    }
  }
  return found
}
