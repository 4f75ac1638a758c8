import { resolve } from 'node:path'
import { type CreateOptions, create } from '../runtime/container/create.ts'
import { deleteContainer } from '../runtime/container/delete.ts'
import { attach, exec } from '../runtime/container/exec.ts'
import { launcherPlayer } from '../runtime/container/launcher-player.ts'
import type { Workplace } from '../runtime/container/player.ts'
import { start } from '../runtime/container/start.ts'
import { LauncherClient, type LauncherPlace } from '../runtime/launcher/client.ts'
import type { Session } from '../runtime/launcher/client-session.ts'
import type { OciProcess } from '../runtime/spec/types.ts'
import { type Call, environment, usage } from './oci-act.ts'

/** The resident launcher makes the container and keeps it: its output, its exit. Answers the pid. */
export async function createByLauncher(call: Call, options: CreateOptions): Promise<number | undefined> {
  refuseOwnDescriptors(call)
  return withLauncher(call, async ({ place }) => (await create(place, options)).pid)
}

/** The same for a whole run: our streams are connected to the container's, which stays the launcher's. */
export async function runByLauncher(call: Call, options: CreateOptions, onPid: (pid: number) => void): Promise<number> {
  refuseOwnDescriptors(call)
  const { id } = options
  const isDetached = call.flags.has('detach')
  return withLauncher(call, async ({ place, launcher }) => {
    const { pid = 0 } = await create(place, { ...options, stdin: !isDetached })
    try {
      const session = isDetached ? undefined : await attach(launcher, id, { stdin: true })
      onPid(pid)
      await start(place, id)
      if (!session) return 0
      const exitCode = await connect(session)
      if (!call.flags.has('keep')) await deleteContainer(place, id)
      return exitCode
    } catch (error) {
      await deleteContainer(place, id, { force: true })
      throw error
    }
  })
}

/** One more process in a container that the launcher keeps. */
export async function execByLauncher(call: Call, id: string, process_: OciProcess): Promise<number> {
  refuseOwnDescriptors(call)
  for (const flag of ['detach', 'pid-file', 'ignore-paused', 'cgroup', 'process']) {
    if (call.flags.has(flag)) throw usage(`--launcher: not together with --${flag}`)
  }
  const { args = [], env = [], cwd, user, capabilities, terminal } = process_
  const { columns = 80, rows = 24 } = process.stdout
  const options = { args, env, cwd, ...(user ? { user } : {}), ...(capabilities ? { capabilities } : {}), stdin: true }
  return withLauncher(call, async ({ launcher }) =>
    connect(await exec(launcher, id, { ...options, ...(terminal ? { terminal: { columns, rows } } : {}) })),
  )
}

function refuseOwnDescriptors({ flags }: Call): void {
  for (const flag of ['console-socket', 'preserve-fds', 'no-pivot', 'no-new-keyring', 'trace']) {
    if (flags.has(flag)) throw usage(`--launcher: not together with --${flag}`)
  }
}

/** Our streams for those of a process that the launcher keeps, until it ends; the answer is its exit code. */
async function connect(session: Session): Promise<number> {
  const { stdin, stdout } = process
  const resize = () => session.resize(stdout.columns ?? 80, stdout.rows ?? 24)
  // With a terminal of its own there is one output, and ours must pass every key on.
  const isRaw = session.stderr === undefined && stdin.isTTY
  if (isRaw) stdin.setRawMode(true)
  if (session.stderr === undefined && stdout.isTTY) {
    resize()
    stdout.on('resize', resize)
  }
  if (session.stdin) stdin.pipe(session.stdin)
  session.stdout.pipe(stdout, { end: false })
  session.stderr?.pipe(process.stderr, { end: false })
  try {
    return (await session.exit).exitCode
  } finally {
    if (isRaw) stdin.setRawMode(false)
    stdin.unpipe()
  }
}

/** Has the launcher that keeps a container open its gate. */
export async function startByLauncher(call: Call, id: string): Promise<void> {
  await withLauncher(call, ({ place }) => start(place, id))
}

interface Hands {
  place: Workplace
  launcher: LauncherPlace
}

async function withLauncher<Result>(call: Call, act: (hands: Hands) => Promise<Result>): Promise<Result> {
  const { warn } = call
  const root = resolve(call.flags.text('launcher') ?? '')
  const log = { debug: () => {}, info: () => {}, warn, error: warn }
  const launcher = { root, log }
  const client = new LauncherClient(launcher)
  try {
    return await act({ place: { root, player: launcherPlayer(client), environment: environment(), warn }, launcher })
  } finally {
    await client.close()
  }
}
