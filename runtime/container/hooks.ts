import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CoracleError, hasCode, messageOf } from '../base/errors.ts'
import { recordExec, targetDescriptor } from '../birth/exec.ts'
import { recordContainerHook, recordRuntimeHook } from '../birth/hook.ts'
import type { Birth } from '../birth/order.ts'
import { cgroups } from '../cgroups/driver.ts'
import { playBirth } from '../launcher/birth-play.ts'
import { waitForChild } from '../launcher/children.ts'
import { Output } from '../launcher/output.ts'
import type { ContainerRecord } from '../launcher/protocol.ts'
import { signalName } from '../linux/constants.ts'
import { makePipe, pidfdOpen, sealedMemfd, setNonblocking } from '../linux/process.ts'
import type { HookName, OciHook, OciSpec } from '../spec/types.ts'
import { type Report, stepError } from '../tape/play.ts'
import { containerError } from './errors.ts'
import { withHome } from './home.ts'
import type { Workplace } from './player.ts'
import type { ContainerStatus } from './state.ts'

/*
 * Where and when the hooks of config.json run (runtime-spec, "POSIX-platform Hooks"), and what their failure does:
 *
 *     prestart, createRuntime   runtime's namespaces     at the gate `create-hooks`       the birth ends
 *     createContainer           container's, old root    the same                         the birth ends
 *     startContainer            container's, as its user before the last gate is opened   the container is killed
 *     poststart                 runtime's                once the program runs            the container is killed
 *     poststop                  runtime's                once all is removed              a warning
 *
 * They run as children of whoever calls create, start or delete, never of the launcher: a hook that hangs holds up only
 * its own container.
 */

/** Which container, and in what state: what a hook reads on its standard input. */
export interface HookScene {
  record: Pick<ContainerRecord, 'id' | 'bundle' | 'annotations' | 'cgroupPath'>
  spec: OciSpec
  status: ContainerStatus
  /** In the runtime's pid namespace; absent once it has ended. */
  pid?: number
  /** What a hook on the host has that names none, as `NAME=value`; as with runc and crun, that of the runtime. */
  environment?: string[] | undefined
}

/** As much of its last output is told when a hook fails. */
const keptOutputBytes = 2048

/** Runs the hooks of one kind in their order. Throws HOOK_FAILED at the first that fails. */
export async function runHooks(kind: HookName, scene: HookScene): Promise<void> {
  for (const numbered of hooksOf(scene, kind)) await runNumbered(kind, numbered, scene)
}

/** Runs the poststop hooks; what fails is a warning, and the others still run. */
export async function runPoststop(place: Pick<Workplace, 'warn'>, scene: Omit<HookScene, 'status' | 'pid'>) {
  const stopped = { ...scene, status: 'stopped' as const }
  for (const numbered of hooksOf(stopped, 'poststop')) {
    await runNumbered('poststop', numbered, stopped).catch((error) => place.warn(messageOf(error)))
  }
}

type Numbered = readonly [at: number, hook: OciHook]

const hooksOf = ({ spec }: HookScene, kind: HookName): Iterable<Numbered> => (spec.hooks?.[kind] ?? []).entries()

async function runNumbered(kind: HookName, [at, hook]: Numbered, scene: HookScene): Promise<void> {
  try {
    await runHook(kind, hook, scene)
  } catch (error) {
    const { id } = scene.record
    const facts = { id, hook: `hooks.${kind}[${at}]`, path: hook.path }
    const message = `error running ${kind} hook #${at}: ${hook.path} of ${id}: ${messageOf(error)}`
    throw containerError('HOOK_FAILED', message, facts, error)
  }
}

async function runHook(kind: HookName, hook: OciHook, scene: HookScene): Promise<void> {
  const isInside = kind === 'createContainer' || kind === 'startContainer'
  const birth = tapeOf(kind, hook, scene)
  // First what may fail: its process may have gone meanwhile.
  const inside = isInside ? [[targetDescriptor, pidfdOpen(scene.pid ?? 0)] as const] : []
  const state = stateFile(scene, isInside)
  const [output, report] = [makePipe(), makePipe()]
  const inherit = new Map([[0, state], [1, output.write], [2, output.write], ...inside])
  setNonblocking(output.read)
  let said = Buffer.alloc(0)
  const reader = new Output(output.read, 'pipe', (chunk) => {
    said = Buffer.concat([said, chunk]).subarray(-keptOutputBytes)
  })
  try {
    const marks = { clone: birth.clone, ready: birth.ready }
    const onChild = (pid: number) => void waitForChild(pid)
    const play = { tape: birth.tape.encode(), marks, reportRead: report.read, reportWrite: report.write, inherit }
    const { pid } = await playBirth({ ...play, onChild, argv0: 'coracle-hook' }, () => {
      for (const fd of new Set([...inherit.values(), report.write])) closeSync(fd)
    })
    await endOf(pid, kind, hook)
    reader.drain()
  } catch (error) {
    reader.drain()
    throw explained(error, birth, said.toString().trim())
  } finally {
    reader.close()
  }
}

function tapeOf(kind: HookName, hook: OciHook, { spec, record, environment, pid = 0 }: HookScene): Birth {
  if (kind === 'createContainer') return recordContainerHook(hook, spec, { cwd: record.bundle ?? '/' })
  if (kind !== 'startContainer')
    return recordRuntimeHook({ ...(environment ? { env: environment } : {}), ...hook }, record.bundle ?? '/')
  const { path, args = [path], env } = hook
  // The one hook that runs as the container's own process begins with that one's environment, unless it names its own.
  const inherits = { ...spec.process, cwd: '/', args, terminal: false }
  const process = env
    ? { ...inherits, env }
    : record.bundle === undefined
      ? inherits
      : withHome(inherits, `/proc/${pid}/root`)
  const cgroup = cgroups().membership(record.cgroupPath)
  return recordExec({ spec, process, cgroup, stdio: [], program: path })
}

/** Throws unless the hook ends well, and in time. */
async function endOf(pid: number, kind: HookName, { timeout }: OciHook): Promise<void> {
  const end = waitForChild(pid)
  const late = new AbortController()
  const limit =
    timeout === undefined
      ? new Promise<never>(() => {})
      : sleep(timeout * 1000, 'late' as const, { signal: late.signal })
  const first = await Promise.race([end, limit.catch(() => 'late' as const)])
  if (first === 'late') {
    // It is the leader of a session, and nobody has reaped it: the group is its own.
    process.kill(-pid, 'SIGKILL')
    await end
    throw new Error(`it was killed, for it took longer than its timeout of ${timeout} s`)
  }
  late.abort()
  const { exitCode, signal } = first
  if (signal !== undefined) throw new Error(`it was killed by ${signalName(signal)}`)
  if (exitCode !== 0) throw new Error(`${kind} hook failed with exit code ${exitCode}`)
}

function explained(error: unknown, birth: Birth, output: string): Error {
  const isStep = hasCode(error, 'PLAY_FAILED') && error.facts.index !== undefined
  const cause = isStep ? stepError(birth.tape, (error as CoracleError).facts as unknown as Report) : error
  return new Error(output === '' ? messageOf(cause) : `${messageOf(cause)}; it said: ${output}`, { cause })
}

/** The state as JSON in a file that cannot be changed, open at its beginning. */
function stateFile({ record, status, pid }: HookScene, isInside: boolean): number {
  const { id, bundle = '', annotations } = record
  const seen = pid === undefined || !isInside ? pid : pidInside(pid)
  const state = { ociVersion: '1.3.0', id, status, ...(seen === undefined ? {} : { pid: seen }), bundle, annotations }
  const memory = sealedMemfd('coracle-state', Buffer.from(JSON.stringify(state)))
  try {
    return openSync(`/proc/self/fd/${memory}`, 'r')
  } finally {
    closeSync(memory)
  }
}

/** The pid as the container sees it: that is what a hook in its namespaces is told. */
function pidInside(pid: number): number {
  const line = /^NSpid:\s*(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? ''
  return Number(line.split(/\s+/).at(-1))
}
