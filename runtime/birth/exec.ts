import { cloneFlags, openFlags } from '../linux/constants.ts'
import { type HostFacts, hostFacts } from '../linux/host.ts'
import type { Architecture } from '../linux/syscall-numbers.ts'
import type { OciProcess, OciSpec } from '../spec/types.ts'
import { clone, flags, open } from '../tape/calls.ts'
import { type Result, SyscallTape } from '../tape/syscall-tape.ts'
import { openTerminal } from './devices.ts'
import { enterHostRoot, hasMountNamespace, openHostRoot } from './host-root.ts'
import { recordLimits } from './limits.ts'
import {
  type Birth,
  becomeProcess,
  type CgroupEntry,
  enterCgroups,
  gateDescriptor,
  hideFromTheContainer,
  masterDescriptor,
  ownKeyring,
} from './order.ts'
import type { BirthWishes } from './plan.ts'
import { isForItself, recordAffinity, recordIoPriority, recordScheduler } from './scheduling.ts'
import { checkLabels, recordLabels } from './security-labels.ts'
import { becomeRootInside, checkUser, idMapsOf, ownStdioOutside } from './user-namespace.ts'
import type { OwnStdio } from './users.ts'

export interface ExecPlan {
  /** The container's own config.json: seccomp comes from there. */
  spec: OciSpec
  /** Of the container's first process, in our pid namespace: how a root is found that no namespace leads to. */
  pid?: number
  process: OciProcess
  cgroup: Omit<CgroupEntry, 'views'>
  /** Which of 0, 1 and 2 become the user's own. */
  stdio: OwnStdio
  /** The file to be executed, where it is not the first argument. */
  program?: string
  host?: HostFacts
  architecture?: Architecture
  wishes?: Pick<BirthWishes, 'preserveFds'>
}

/** The descriptor under which the player finds a pidfd of the container's first process; a master takes its place. */
export const targetDescriptor = gateDescriptor + 1

const { CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS } = cloneFlags
const { CLONE_NEWCGROUP, CLONE_NEWUSER, CLONE_NEWTIME } = cloneFlags

const most = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS
/** With a user namespace among them all must be joined at once: from within it, some others cannot be. */
const allNamespaces = most | CLONE_NEWUSER | CLONE_NEWCGROUP

/** Only where there is one: to join that of the host anew would need a kernel that has them. */
const timeOf = ({ linux }: OciSpec) => (linux?.namespaces?.some(({ type }) => type === 'time') ? CLONE_NEWTIME : 0)

/**
 * Into every namespace of the container of which the first process is behind `targetDescriptor`, as its root where it has a
 * user namespace. Returns the entry of clone3: the process that goes on is one more, for the pid namespace.
 */
export function enterContainer(tape: SyscallTape, spec: OciSpec, host: HostFacts): Result {
  const maps = idMapsOf(spec)
  tape.because('into the namespaces of the container by one call, then one process more for its pid namespace')
  const all = maps ? allNamespaces : allNamespaces & ~CLONE_NEWUSER
  tape.call('setns', [targetDescriptor, flags(all | timeOf(spec), cloneFlags)])
  const cloned = clone(tape, 0)
  if (maps) becomeRootInside(tape, maps, host)
  return cloned
}

/**
 * One more process in a running container. A pidfd instead of /proc/PID/ns: the pid cannot have come to mean another
 * process, and one setns joins the namespaces or none of them. With a terminal there is a gate, so that its master can be
 * fetched.
 */
export function recordExec(plan: ExecPlan): Birth {
  const {
    spec,
    process,
    host = hostFacts(),
    architecture = globalThis.process.arch === 'arm64' ? 'arm64' : 'x64',
  } = plan
  const tape = new SyscallTape()
  const warnings: string[] = []
  hideFromTheContainer(tape)
  const maps = idMapsOf(spec)
  if (maps) checkUser(process.user ?? { uid: 0, gid: 0 }, maps)
  recordAffinity(tape, 'initial', process.execCPUAffinity?.initial)
  const into = enterCgroups(tape, maps ? joinOnly(plan.cgroup) : plan.cgroup)
  tape.because('limits, while /proc is still the host’s')
  recordLimits(tape, process, host, warnings)
  recordIoPriority(tape, process)
  if (!isForItself(process)) recordScheduler(tape, process)
  checkLabels({ process }, host)
  recordLabels(tape, process)
  if (maps) ownStdioOutside(tape, { user: process.user ?? { uid: 0, gid: 0 }, maps, which: plan.stdio })
  tape.because('into the namespaces of the container by one call, then one process more for its pid namespace')
  const leftOut = hasMountNamespace(spec) ? 0 : CLONE_NEWNS
  const hostRoot = leftOut === 0 ? undefined : openHostRoot(tape, { pid: plan.pid ?? 0, target: targetDescriptor })
  tape.call('setns', [targetDescriptor, flags(((maps ? allNamespaces : most) & ~leftOut) | timeOf(spec), cloneFlags)])
  const cloned = clone(tape, 0, into)
  recordAffinity(tape, 'final', process.execCPUAffinity?.final)
  if (maps) becomeRootInside(tape, maps, host)
  else {
    tape.because('a process outside of a cgroup namespace’s root cannot be moved from within it: so that comes last')
    tape.call('setns', [targetDescriptor, flags(CLONE_NEWCGROUP, cloneFlags)])
  }
  if (hostRoot !== undefined) enterHostRoot(tape, hostRoot)
  tape.because('a session and a keyring of its own')
  tape.call('setsid', [])
  ownKeyring(tape)
  const common = {
    spec,
    process,
    host,
    architecture,
    warnings,
    stdio: plan.stdio,
    program: plan.program,
    maps,
    preserve: plan.wishes?.preserveFds ?? 0,
  }
  const birth = { tape, clone: cloned.entry, gates: [], userNamespaces: [], warnings }
  if (!process.terminal) return { ...birth, ready: becomeProcess(tape, { ...common, gate: false }) }
  tape.because('a terminal of the container’s own devpts')
  const root = open(tape, '/', openFlags.O_PATH | openFlags.O_DIRECTORY)
  openTerminal(tape, root, { masterDescriptor, size: process.consoleSize, console: false })
  return { ...birth, ready: becomeProcess(tape, { ...common, gate: true }) }
}

/** Into the cgroup by a write instead of by clone3: which is too late when the cgroup namespace is joined before. */
function joinOnly({ into, ...more }: ExecPlan['cgroup']): ExecPlan['cgroup'] {
  return { ...more, join: into === undefined ? more.join : [...more.join, `${into}/cgroup.procs`] }
}
