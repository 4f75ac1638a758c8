import { closeSync, readFileSync, writeFileSync } from 'node:fs'
import { type CreateOptions, create } from '../runtime/container/create.ts'
import { deleteContainer } from '../runtime/container/delete.ts'
import { execProcess } from '../runtime/container/exec.ts'
import { execHere } from '../runtime/container/exec-local.ts'
import { localPlayer } from '../runtime/container/local-player.ts'
import { savedConfig } from '../runtime/container/saved-config.ts'
import { start } from '../runtime/container/start.ts'
import type { ContainerState } from '../runtime/container/state.ts'
import { Children } from '../runtime/launcher/children.ts'
import { terminalInput } from '../runtime/launcher/input.ts'
import { Output } from '../runtime/launcher/output.ts'
import { descriptorOf, pidfdOpen, setNonblocking, setWindowSize } from '../runtime/linux/process.ts'
import type { OciProcess } from '../runtime/spec/types.ts'

/** Runs a container as if it were a program of ours: its streams are ours, its exit code becomes ours. */
export async function runForeground(
  root: string,
  options: CreateOptions,
  flags: { detach?: boolean; keep?: boolean; warn(message: string): void; onCreated(state: ContainerState): void },
): Promise<number> {
  const children = new Children()
  let relay: Relay | undefined
  const { terminal = false } = options.spec.process ?? {}
  const onReady = (pid: number, master: number) => {
    if (terminal) relay = relayTerminal(pid, master)
  }
  const place = { root, player: localPlayer({ root, onReady }), warn: flags.warn }
  const created = await create(place, options)
  try {
    flags.onCreated(created)
    const exited = children.wait(created.pid ?? 0)
    await start(place, options.id)
    if (flags.detach) return 0
    const forward = forwardSignals(created.pid ?? 0)
    const { exitCode } = await exited
    forward.stop()
    relay?.finish()
    if (!flags.keep) await deleteContainer(place, options.id, { force: true })
    return exitCode
  } catch (error) {
    relay?.finish()
    await deleteContainer(place, options.id, { force: true })
    throw error
  }
}

export interface ExecFlags {
  cwd?: string
  env?: string[]
  tty?: boolean
  user?: string
  process?: string
  pidFile?: string
  detach?: boolean
}

/** Runs one more process in a container; its exit code is the answer. */
export async function execForeground(
  root: string,
  id: string,
  { command, flags, warn }: { command: string[]; flags: ExecFlags; warn: (message: string) => void },
): Promise<number> {
  const process = processOf(root, id, { command, flags })
  const children = new Children()
  const running = await execHere(root, id, process)
  for (const warning of running.warnings) warn(warning)
  if (flags.pidFile) writeFileSync(flags.pidFile, String(running.pid))
  const exited = children.wait(running.pid)
  const relay = process.terminal ? relayTerminal(running.pid, running.master) : undefined
  running.open()
  if (flags.detach) return 0
  const { exitCode } = await exited
  relay?.finish()
  return exitCode
}

function processOf(root: string, id: string, { command, flags }: { command: string[]; flags: ExecFlags }): OciProcess {
  if (flags.process) return JSON.parse(readFileSync(flags.process, 'utf8')) as OciProcess
  const { spec } = savedConfig(root, id)
  const [uid = 0, gid = 0] = flags.user?.split(':').map(Number) ?? []
  const { columns = 80, rows = 24 } = process.stdout
  return execProcess(spec, {
    args: command,
    env: [...(spec.process?.env ?? []), ...(flags.env ?? [])],
    ...(flags.cwd ? { cwd: flags.cwd } : {}),
    ...(flags.user ? { user: { uid, gid } } : {}),
    ...(flags.tty ? { terminal: { columns, rows } } : {}),
  })
}

interface Relay {
  finish(): void
}

/** Our terminal, in raw mode, before the terminal of the container. */
function relayTerminal(pid: number, descriptor: number): Relay {
  const pidfd = pidfdOpen(pid)
  const master = descriptorOf(pidfd, descriptor)
  closeSync(pidfd)
  setNonblocking(master)
  const output = new Output(master, 'terminal', (chunk) => writeFileSync(1, chunk))
  const input = terminalInput(master)
  const resize = () => setWindowSize(master, process.stdout.columns ?? 80, process.stdout.rows ?? 24)
  if (process.stdin.isTTY) process.stdin.setRawMode(true)
  if (process.stdout.isTTY) {
    resize()
    process.stdout.on('resize', resize)
  }
  process.stdin.on('data', (chunk: Buffer) => input.write(chunk))
  return {
    finish() {
      output.drain()
      output.close()
      input.end()
      if (process.stdin.isTTY) process.stdin.setRawMode(false)
      process.stdin.pause()
    },
  }
}

/** Signals that ask us to end are meant for the container. */
function forwardSignals(pid: number): { stop(): void } {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const
  const pass = (signal: NodeJS.Signals) => {
    try {
      process.kill(pid, signal)
    } catch {
      // It has ended a moment ago; its exit is on the way.
    }
  }
  for (const signal of signals) process.on(signal, pass)
  return {
    stop() {
      for (const signal of signals) process.off(signal, pass)
    },
  }
}
