import { closeSync, existsSync } from 'node:fs'
import { hasCode } from '../base/errors.ts'
import { recordExec, targetDescriptor } from '../birth/exec.ts'
import { type Birth, gateDescriptor } from '../birth/order.ts'
import { cgroups } from '../cgroups/driver.ts'
import type { CgroupMembership } from '../cgroups/types.ts'
import { playBirth } from '../launcher/birth-play.ts'
import { reapLater } from '../launcher/children.ts'
import { makePipe, pidfdOpen } from '../linux/process.ts'
import type { OciProcess } from '../spec/types.ts'
import { validateProcess } from '../spec/validate.ts'
import { ownStreams, type Report, stepError } from '../tape/play.ts'
import { callersStdio } from './callers-stdio.ts'
import { marksOf, preservedOf } from './create.ts'
import { containerError } from './errors.ts'
import { explainExec } from './explain-exec.ts'
import { withHome } from './home.ts'
import type { BirthTrace, TracedBirth } from './player.ts'
import { savedConfig } from './saved-config.ts'
import { type ContainerState, stateOf } from './state.ts'

export interface LocalExecOptions {
  process: OciProcess
  /** How many of our descriptors, from 3 on, the process gets. */
  preserveFds?: number
  /** Begin even in a frozen container, to run when it is thawed. */
  ignorePaused?: boolean
  /** Existing groups below the container's own, as `[<controller>,…:]<path>`. */
  subgroups?: readonly string[]
  trace?: BirthTrace
}

/** What an exec without a launcher gives: the caller waits for `pid`, which is its own child. */
export interface LocalExec {
  pid: number
  warnings: string[]
  /** With a terminal: the master's descriptor in that process, which waits until `open` is called. */
  master: number
  /** Resolves once the program runs. */
  open(): Promise<void>
}

/** Runs one more process in a container, with this process' own streams. Throws NOT_FOUND, WRONG_STATE, EXEC_FAILED. */
export async function execHere(root: string, id: string, options: LocalExecOptions): Promise<LocalExec> {
  const { preserveFds = 0, ignorePaused = false, subgroups = [] } = options
  const { cgroupPath, pid: target = 0 } = execable(stateOf(root, id), ignorePaused)
  const process = withHome(validateProcess(options.process), `/proc/${target}/root`)
  const config = savedConfig(root, id)
  const cgroup = groupsFor(cgroupPath, subgroups)
  const birth = recordExec({
    spec: config.spec,
    pid: target,
    process,
    cgroup,
    stdio: callersStdio(),
    wishes: { preserveFds },
  })
  const played = options.trace?.interleave(birth) ?? plain(birth)
  const { tape, warnings } = birth
  const report = makePipe()
  const gate = makePipe()
  const pidfd = pidfdOpen(target)
  const own = [...ownStreams, [gateDescriptor, gate.read], [targetDescriptor, pidfd]] as const
  const inherit = new Map<number, number>([...own, ...preservedOf({ preserveFds }), ...played.descriptors])
  const left: Promise<unknown>[] = []
  const play = {
    tape: played.tape.encode(),
    marks: played.marks,
    reportRead: report.read,
    reportWrite: report.write,
    inherit,
    onChild: (pid: number) => void left.push(reapLater(pid)),
  }
  const explained = (error: unknown) => {
    if (!hasCode(error, 'PLAY_FAILED') || error.facts.index === undefined) return error
    const index = options.trace?.entryOf(Number(error.facts.index)) ?? error.facts.index
    const failed = stepError(tape, { ...error.facts, index } as unknown as Report)
    return explainExec(failed, { ...config, spec: { ...config.spec, process } })
  }
  try {
    const { pid, result, running } = await playBirth(play, () => {
      for (const fd of [gate.read, pidfd, report.write]) closeSync(fd)
      played.onStarted()
    })
    await Promise.all(left)
    const open = async () => {
      closeSync(gate.write)
      await running.catch((error) => Promise.reject(explained(error)))
    }
    return { pid, warnings, master: result, open }
  } catch (error) {
    throw explained(error)
  }
}

function plain(birth: Birth): TracedBirth {
  return { tape: birth.tape, marks: marksOf(birth), descriptors: new Map(), onStarted: () => {} }
}

/** In runc's words: engines look for them. */
function execable(state: ContainerState, ignorePaused: boolean): ContainerState {
  const { id, status } = state
  const refused = (reason: string) => containerError('WRONG_STATE', `exec ${id}: ${reason}`, { id, status })
  if (status === 'paused' && !ignorePaused) {
    throw refused('cannot exec in a paused container (use --ignore-paused to override)')
  }
  if (status === 'stopped' || status === 'creating') throw refused(`cannot exec in a ${status} container`)
  return state
}

/** `--cgroup`: below the container's own groups; `..` would lead out of them. */
function groupsFor(path: string, subgroups: readonly string[]): CgroupMembership {
  const below = new Map<string, string>()
  for (const text of subgroups) {
    const refused = (reason: string) =>
      containerError('INVALID_ID', `exec: cgroup ${JSON.stringify(text)} ${reason}`, { cgroup: text })
    const [, controllers = '', folder = ''] = /^(?:([\w,]+):)?(.*)$/s.exec(text) ?? []
    const parts = folder.split('/').filter((part) => part !== '' && part !== '.')
    if (parts.includes('..')) throw refused('is a bad sub cgroup path: `..` components are not allowed')
    if (folder.includes(':')) throw refused('is a bad sub cgroup path: a `:` comes after controllers alone')
    for (const controller of controllers.split(',')) {
      if (below.has(controller)) throw refused('is for a controller that has one already')
      below.set(controller, parts.join('/'))
    }
  }
  const membership = cgroups().membership(path, below)
  const { into, join, afterClone = [] } = membership
  const procs = into === undefined ? [] : [`${into}/cgroup.procs`]
  const missing = [...procs, ...join, ...afterClone].find((file) => !existsSync(file))
  if (missing === undefined || subgroups.length === 0) return membership
  const failed = `exec: cgroup ${subgroups.join(' ')}: adding pid to ${missing}: no such file or directory`
  throw containerError('INVALID_ID', failed, { missing })
}
