/** One node as a user starts it, in a network namespace of its own, and the kubectls to talk to it. */
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import type { NodeNote } from '../../bin/data-dir.ts'

export const projectRoot = resolve(import.meta.dirname, '../..')
const coracle = join(projectRoot, 'bin/coracle')

export interface Output {
  code: number
  stdout: string
  stderr: string
}

/** Runs a program to its end; never throws for an exit code. Times out after `timeoutMs`. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: { input?: string; env?: NodeJS.ProcessEnv; timeoutMs?: number } = {},
): Promise<Output> {
  return new Promise((done) => {
    const child = execFile(
      program,
      [...args],
      { env: options.env ?? process.env, timeout: options.timeoutMs ?? 60_000, maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => done({ code: exitCode(error), stdout, stderr }),
    )
    // One that ends without reading its input is no failure of the test.
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input ?? '')
  })
}

function exitCode(error: (Error & { code?: unknown }) | null): number {
  if (!error) return 0
  return typeof error.code === 'number' ? error.code : 255
}

export const sleep = (milliseconds: number) => new Promise<void>((done) => setTimeout(done, milliseconds))

/** Asks until `condition` gives something; throws with the last words of `describe` after `timeoutMs`. */
export async function eventually<T>(
  what: string,
  condition: () => Promise<T | undefined | false>,
  options: { timeoutMs?: number; describe?: () => Promise<string> } = {},
): Promise<T> {
  const until = Date.now() + (options.timeoutMs ?? 30_000)
  for (;;) {
    const found = await condition()
    if (found !== undefined && found !== false) return found
    if (Date.now() > until) throw new Error(`${what}: not in time. ${(await options.describe?.()) ?? ''}`)
    await sleep(100)
  }
}

/** Every kubectl of this machine: the one on PATH with its siblings, and Debian's, which `test/setup` unpacks. */
export function kubectls(): { version: string; path: string }[] {
  const found: { version: string; path: string }[] = []
  const onPath = spawnSync('sh', ['-c', 'command -v kubectl'], { encoding: 'utf8' }).stdout.trim()
  if (onPath !== '') {
    const folder = dirname(realpathSync(onPath))
    const siblings = readdirSync(folder).filter((name) => /^kubectl\.\d+\.\d+$/.test(name))
    for (const name of siblings) found.push({ version: name.slice('kubectl.'.length), path: join(folder, name) })
    if (siblings.length === 0) found.push({ version: 'PATH', path: onPath })
  }
  const debian = join(projectRoot, 'node_modules/.cache/kubectl-debian')
  if (existsSync(debian)) found.push({ version: '1.20', path: debian })
  return found
}

/** The newest kubectl that is no younger than the tests know: 1.32 where it is there. */
export function preferredKubectl(): string | undefined {
  const all = kubectls()
  return (all.find((each) => each.version === '1.32') ?? all.at(-1))?.path
}

/** A manifest as JSON: kubectl takes what begins with a brace for that, not for YAML in flow style. */
export function configMap(name: string, data: Readonly<Record<string, string>>): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data })
}

/** Ids of all containers and sandboxes that the runtime has a record of. */
export function containerRecords(cluster: Cluster): string[] {
  const entries = readdirSync(join(cluster.dataDir, 'runtime'), { withFileTypes: true })
  return entries.filter((each) => each.isDirectory() && !each.name.startsWith('.')).map((each) => each.name)
}

export interface MoreOfCluster {
  /** More of `coracle up`. */
  readonly flags?: readonly string[]
  /** Makes ready what the node needs; `enter` is what to put before a command, so that it runs beside the node. */
  prepare?(enter: readonly string[]): Promise<void>
}

let counter = 0

export class Cluster implements AsyncDisposable {
  readonly dataDir = mkdtempSync(join(tmpdir(), 'coracle-e2e-'))
  readonly #netns = `coracle-e2e-${process.pid}-${counter++}`
  readonly nodeName = `node-${process.pid}-${counter}`
  #process: ChildProcess | undefined
  #output = ''
  #cgroupRoot = 'coracle/unknown'

  readonly #startMs: number
  readonly #flags: readonly string[]

  private constructor(startMs: number, flags: readonly string[]) {
    this.#startMs = startMs
    this.#flags = flags
  }

  /** Makes the namespace and starts the node; resolves when it says that it is ready, which must be within `startMs`. */
  static async start(startMs = 60_000, more: MoreOfCluster = {}): Promise<Cluster> {
    const cluster = new Cluster(startMs, more.flags ?? [])
    must('ip', ['netns', 'add', cluster.#netns])
    must('ip', ['-n', cluster.#netns, 'link', 'set', 'lo', 'up'])
    await more.prepare?.(['nsenter', `--net=/run/netns/${cluster.#netns}`])
    await cluster.up()
    return cluster
  }

  get kubeconfig(): string {
    return join(this.dataDir, 'kubeconfig')
  }

  get pid(): number {
    return this.#process?.pid ?? 0
  }

  get output(): string {
    return this.#output
  }

  /** As the node noted it down; known until after `down`, which takes the note away. */
  get cgroupRoot(): string {
    const note = join(this.dataDir, 'node.json')
    if (existsSync(note)) this.#cgroupRoot = (JSON.parse(readFileSync(note, 'utf8')) as NodeNote).cgroupRoot
    return this.#cgroupRoot
  }

  async up(): Promise<void> {
    this.#output = ''
    const args = [
      'up',
      '--data-dir',
      this.dataDir,
      '--node-name',
      this.nodeName,
      '--listen',
      '127.0.0.1:6443',
      ...this.#flags,
    ]
    const child = spawn('nsenter', [`--net=/run/netns/${this.#netns}`, coracle, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.#process = child
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (this.#output += String(chunk)))
    await eventually('coracle up', async () => /^ready after/m.test(this.#output) || exited(child), {
      timeoutMs: this.#startMs,
      describe: async () => this.#output,
    })
    void this.cgroupRoot
    if (exited(child)) throw new Error(`coracle up ended with ${child.exitCode ?? child.signalCode}: ${this.#output}`)
  }

  /** Ends server and agent; containers stay. */
  async stop(signal: 'SIGINT' | 'SIGKILL'): Promise<void> {
    const child = this.#process
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise<void>((done) => child.once('exit', () => done()))
    child.kill(signal)
    await ended
  }

  /** Runs a program inside the node's network namespace. */
  inside(program: string, args: readonly string[], options: Parameters<typeof runProgram>[2] = {}): Promise<Output> {
    return runProgram('nsenter', [`--net=/run/netns/${this.#netns}`, program, ...args], options)
  }

  /** A long-running program in the node's network namespace; the caller kills it. */
  spawnInside(program: string, args: readonly string[], env: NodeJS.ProcessEnv = this.environment()): ChildProcess {
    return spawn('nsenter', [`--net=/run/netns/${this.#netns}`, program, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env,
    })
  }

  environment(): NodeJS.ProcessEnv {
    return { ...process.env, KUBECONFIG: this.kubeconfig, HOME: this.dataDir }
  }

  kubectl(
    args: readonly string[],
    options: { input?: string; program?: string; timeoutMs?: number } = {},
  ): Promise<Output> {
    const program = options.program ?? preferredKubectl() ?? 'kubectl'
    return this.inside(program, args, { ...options, env: this.environment() })
  }

  /** kubectl that must succeed; returns what it printed. */
  async ok(args: readonly string[], options: Parameters<Cluster['kubectl']>[1] = {}): Promise<string> {
    const { code, stdout, stderr } = await this.kubectl(args, options)
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: exit ${code}\n${stdout}${stderr}`)
    return stdout
  }

  async json<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.ok([...args, '-o', 'json'])) as T
  }

  apply(manifest: string): Promise<string> {
    return this.ok(['apply', '-f', '-'], { input: manifest })
  }

  async down(): Promise<Output> {
    await this.stop('SIGINT')
    return this.inside(coracle, ['down', '--data-dir', this.dataDir], { timeoutMs: 120_000 })
  }

  /** What the node left on this machine; empty after `down`. */
  leftovers(): string[] {
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(this.dataDir))
    const groups = readdirSync('/sys/fs/cgroup')
      .flatMap((name) => [`/sys/fs/cgroup/${name}/${this.cgroupRoot}`, `/sys/fs/cgroup/${this.cgroupRoot}`])
      .filter(existsSync)
    const processes = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => commandLine(pid).includes(this.dataDir))
    const links = spawnSync('ip', ['-n', this.#netns, '-o', 'link'], { encoding: 'utf8' }).stdout.split('\n')
    const tables = spawnSync('ip', ['netns', 'exec', this.#netns, 'nft', 'list', 'tables'], { encoding: 'utf8' }).stdout
    return [
      ...mounts,
      ...new Set(groups),
      ...processes.map((pid) => `process ${pid}: ${commandLine(pid)}`),
      ...links.filter((line) => /cor0|veth/.test(line)),
      ...tables.split('\n').filter((line) => line.includes('coracle')),
    ]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { code, stdout, stderr } = await this.down()
    const left = this.leftovers()
    spawnSync('ip', ['netns', 'del', this.#netns])
    if (code !== 0 || left.length > 0)
      throw new Error(`after coracle down (exit ${code}): ${left.join('\n')}\n${stdout}${stderr}`)
    rmSync(this.dataDir, { recursive: true, force: true })
  }
}

function exited(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

function must(program: string, args: readonly string[]): void {
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${stderr}`)
}
