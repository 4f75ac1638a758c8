import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { hasCode } from '../runtime/base/errors.ts'
import type { BirthWishes } from '../runtime/birth/plan.ts'
import { type CreateOptions, create } from '../runtime/container/create.ts'
import { deleteContainer } from '../runtime/container/delete.ts'
import { localPlayer } from '../runtime/container/local-player.ts'
import { claimFolder, exclusively } from '../runtime/container/lock.ts'
import type { BirthTrace, Workplace } from '../runtime/container/player.ts'
import { requireProgram } from '../runtime/container/require-program.ts'
import { start } from '../runtime/container/start.ts'
import { Children } from '../runtime/launcher/children.ts'
import { writeExit } from '../runtime/launcher/records.ts'
import { type Call, environment, idOf, placeOf, specOf, type Verb, warningAloud } from './oci-act.ts'
import { preservedDescriptors } from './oci-preserved.ts'
import { checkConsole, forwardSignals } from './oci-streams.ts'
import type { Relay } from './oci-terminal.ts'

const birthFlags = [
  '-b, --bundle <path>  folder with config.json (default: .)',
  '-f, --config <file>  another name for config.json, in the bundle',
  '--console-socket <path>  unix socket to which the terminal’s master is sent',
  '--pid-file <file>  write the pid of the first process here',
  '--no-pivot  enter the root by MS_MOVE and chroot: for one on a ramdisk',
  '--no-new-keyring  keep the caller’s session keyring',
  '--preserve-fds <n>  pass on so many descriptors from 3 on, after those of $LISTEN_FDS',
  '--trace  print the tape with results and microseconds on standard error',
]
const launcherFlag = '--launcher <root>  let the launcher of this root do it and keep it, with its streams in its FIFOs'

/** What brings a container to life. */
export const verbs: Readonly<Record<string, Verb>> = {
  create: {
    args: '<id>',
    does: 'make a container that waits for start',
    flags: [...birthFlags, launcherFlag],
    takes: [1, 1],
    act: creating,
  },
  run: {
    args: '<id>',
    does: 'create and start a container, wait for its end, delete it',
    flags: [
      ...birthFlags,
      '-d, --detach  leave it running',
      '--keep  do not delete it when it has ended',
      launcherFlag,
      '--no-subreaper  as it is: this runtime needs no subreaper',
    ],
    takes: [1, 1],
    act: running,
  },
  start: {
    args: '<id>',
    does: 'run the program of a created container',
    flags: [launcherFlag],
    takes: [1, 1],
    async act(call) {
      const id = idOf(call)
      if (call.flags.has('launcher')) return (await import('./oci-launcher.ts')).startByLauncher(call, id)
      const place = await placeOf(call)
      await exclusively(call.root, id, () => startOrDestroy(call, place, id))
    },
  },
}

/** Runtime-spec, "Lifecycle": of a container whose hooks of start fail nothing is left, as if it had been deleted. */
async function startOrDestroy(call: Call, place: Workplace, id: string): Promise<void> {
  try {
    await start(place, id)
  } catch (error) {
    if (hasCode(error, 'HOOK_FAILED')) await deleteContainer(warningAloud(place, call), id, { force: true })
    throw error
  }
}

type Trace = BirthTrace & { text(): Promise<string> }

interface BirthCall {
  options: CreateOptions
  socket: string | undefined
  terminal: boolean
  trace: Trace | undefined
}

async function birthCall(call: Call, detach: boolean): Promise<BirthCall> {
  const { flags } = call
  const bundle = resolve(flags.text('bundle') ?? '.')
  const spec = specOf(bundle, flags.text('config'))
  const terminal = spec.process?.terminal === true
  const socket = flags.text('console-socket')
  checkConsole({ terminal, detach, socket })
  const preserveFds = preservedDescriptors(flags, spec.process)
  const wishes: BirthWishes = {
    ...(preserveFds > 0 ? { preserveFds } : {}),
    ...(flags.has('no-pivot') ? { noPivot: true } : {}),
    ...(flags.has('no-new-keyring') ? { noNewKeyring: true } : {}),
  }
  const until = call.args.length > 0 && detach && !flags.has('detach') ? 'gate' : 'exec'
  const trace = flags.has('trace') ? (await import('../runtime/container/trace.ts')).birthTrace(until) : undefined
  const options = { id: idOf(call), spec, bundle, ...(Object.keys(wishes).length > 0 ? { wishes } : {}) }
  return { options, socket, terminal, trace }
}

async function creating(call: Call): Promise<void> {
  const birth = await birthCall(call, true)
  if (call.flags.has('launcher')) {
    const { createByLauncher } = await import('./oci-launcher.ts')
    pidFile(call, await createByLauncher(call, birth.options))
    return
  }
  const onReady = async (pid: number, master: number) => {
    checkProgram(pid, birth)
    if (birth.terminal) await (await import('./oci-terminal.ts')).sendMaster(pid, master, birth.socket ?? '')
  }
  try {
    const { pid } = await create(workplace(call, birth, { onReady }), birth.options)
    pidFile(call, pid)
  } finally {
    await tellTrace(birth.trace)
  }
}

function checkProgram(pid: number, { options }: BirthCall): void {
  if (options.spec.process) requireProgram(pid, options.spec.process)
}

function workplace(
  { root, warn }: Call,
  { trace }: BirthCall,
  how: { onReady(pid: number, master: number): Promise<void>; claim?: (folder: string) => void },
): Workplace {
  const { onReady, claim = claimFolder } = how
  const player = localPlayer({ root, onReady })
  return { root, player, environment: environment(), warn, claim, ...(trace ? { trace } : {}) }
}

/** As if it were a program of ours: its streams are ours, and its exit code becomes ours. */
async function running(call: Call): Promise<number> {
  const detach = call.flags.has('detach')
  const birth = await birthCall(call, detach)
  const { id } = birth.options
  if (call.flags.has('launcher')) {
    return (await import('./oci-launcher.ts')).runByLauncher(call, birth.options, (pid) => pidFile(call, pid))
  }
  // Whoever asked us to detach waits for the process itself, which may end before we do: so it is not ours to reap.
  const children = detach ? undefined : new Children()
  let relay: Relay | undefined
  let release = () => {}
  const onReady = async (pid: number, master: number) => {
    checkProgram(pid, birth)
    if (!birth.terminal) return
    const { relayTerminal, sendMaster } = await import('./oci-terminal.ts')
    if (birth.socket === undefined) relay = relayTerminal(pid, master)
    else await sendMaster(pid, master, birth.socket)
  }
  const claim = (folder: string) => {
    release = claimFolder(folder)
  }
  const place = workplace(call, birth, { onReady, claim })
  const remove = () => exclusively(call.root, id, () => deleteContainer(warningAloud(place, call), id, { force: true }))
  try {
    const { pid = 0 } = await create(place, birth.options)
    const exited = children?.wait(pid)
    try {
      pidFile(call, pid)
      await start(place, id)
    } catch (error) {
      release()
      await remove()
      throw error
    }
    release()
    if (!exited) return 0
    const stopForwarding = forwardSignals(pid)
    const { exitCode, signal } = await exited
    stopForwarding()
    relay?.finish()
    const finishedAt = new Date().toISOString()
    if (!call.flags.has('keep')) await remove()
    else writeExit(call.root, id, { exitCode, ...(signal ? { signal } : {}), oomKilled: false, finishedAt })
    return exitCode
  } finally {
    children?.close()
    relay?.finish()
    await tellTrace(birth.trace)
  }
}

async function tellTrace(trace: Trace | undefined): Promise<void> {
  if (trace) writeFileSync(2, await trace.text())
}

function pidFile({ flags }: Call, pid: number | undefined): void {
  const file = flags.text('pid-file')
  if (file !== undefined && pid !== undefined) writeFileSync(file, String(pid))
}
