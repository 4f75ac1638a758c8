/*
 * IMPLEMENTED: all eight namespaces, new, joined or the host's; mounts with every option of runc and crun, id-mapped ones too; overlay root;
 * devices, terminal, masked and read-only paths, hooks, capabilities, seccomp, limits, scheduling, memory policy, sysctls, users, security labels.
 * NOT IMPLEMENTED: netDevices, intelRdt. Refused by spec/validate.ts.
 */
import { CLOSE_RANGE_CLOEXEC, KEYCTL_JOIN_SESSION_KEYRING, openFlags, prctlOptions } from '../linux/constants.ts'
import { EACCES, ENOENT, ENOSYS, EPERM } from '../linux/errno-numbers.ts'
import { type HostFacts, hostFacts } from '../linux/host.ts'
import type { Architecture } from '../linux/syscall-numbers.ts'
import type { OciProcess, OciSpec } from '../spec/types.ts'
import { clone, flags, open, writeFile } from '../tape/calls.ts'
import { type Result, SyscallTape } from '../tape/syscall-tape.ts'
import { buildRoot, type Scene } from './build-root.ts'
import { allCapabilities, capabilityMasks, dropBounding, setCapabilities } from './capabilities.ts'
import { type EarlyGate, gateDescriptor, masterDescriptor, passGate } from './gate.ts'
import { recordLateLimits, recordLimits } from './limits.ts'
import * as namespaces from './namespaces.ts'
import type { BirthPlan, CgroupEntry } from './plan.ts'
import { closeButPreserved, recordPreserved } from './preserved.ts'
import { cloneFromSlaves } from './rootfs.ts'
import { isForItself, recordIoPriority, recordMemoryPolicy, recordPersonality, recordScheduler } from './scheduling.ts'
import { installFilter, noNewPrivileges, seccompFilter } from './seccomp.ts'
import { checkLabels, recordLabels } from './security-labels.ts'
import {
  becomeRootInside,
  checkUser,
  type FromHost,
  type IdMaps,
  idMapsOf,
  joinUserNamespace,
  madeAhead,
  type NewUserNamespace,
  now,
  ownStdioOutside,
  UserNamespaces,
} from './user-namespace.ts'
import { becomeUser, type OwnStdio, ownStdio, ownTerminal } from './users.ts'

export { gateDescriptor, masterDescriptor } from './gate.ts'
export type { BirthPlan, CgroupEntry } from './plan.ts'

/**
 * A tape of which the entry `clone` reports the new pid. At entry `ready` it reports, with the descriptor of the
 * terminal's master as result, and waits at the last gate; -1: there is none (see gate.ts).
 */
export interface Birth {
  tape: SyscallTape
  clone: number
  ready: number
  /** Gates before the last one. */
  gates: readonly EarlyGate[]
  /** What the player makes before it plays. */
  userNamespaces: readonly NewUserNamespace[]
  warnings: string[]
}

/** The whole birth of a container, in the order that the kernel and past attacks demand; the reasons are on the tape. */
export function recordBirth(plan: BirthPlan): Birth {
  const { spec, cgroup, host = hostFacts(), architecture = process.arch === 'arm64' ? 'arm64' : 'x64' } = plan
  const tape = new SyscallTape()
  const warnings: string[] = []
  const process_ = spec.process as OciProcess
  const maps = idMapsOf(spec)
  const scene: Scene = { plan: { ...plan, host }, maps, spaces: new UserNamespaces(), gates: [], warnings }
  hideFromTheContainer(tape)
  if (process_.terminal) {
    tape.because('keep the number free at which the terminal’s master will wait')
    tape.call('dup3', [gateDescriptor, masterDescriptor, flags(openFlags.O_CLOEXEC, openFlags)])
  }
  const { afterClone = [] } = cgroup
  const into = enterCgroups(tape, { ...cgroup, afterClone: [] })
  const late = afterClone.map((file) => open(tape, file, openFlags.O_WRONLY))
  tape.because('limits, while this is root on the host')
  recordLimits(tape, process_, host, warnings)
  recordIoPriority(tape, process_)
  if (!isForItself(process_)) recordScheduler(tape, process_)
  checkLabels(spec, host)
  recordLabels(tape, process_)
  tape.because('namespaces of others are joined before the new ones are made: pid and time concern only children')
  namespaces.joinNamespaces(tape, spec)
  namespaces.newTimeNamespace(tape, spec)
  const fromHost = maps ? leaveHost(tape, scene, maps) : now(tape)
  tape.because('one call makes the other namespaces; the old half reports the pid and leaves')
  const cloned = clone(tape, namespaces.namespacesToClone(spec), into)
  if (late.length > 0)
    tape.because('the group that counts processes: with both halves in it, a limit of 1 would be none')
  for (const file of late) {
    tape.call('write', [file, '0', 1])
    tape.call('close', [file])
  }
  const at = maps && enterUserNamespace(tape, scene, maps)
  tape.because('a session of its own, so that no signal of our terminal reaches it')
  tape.call('setsid', [])
  if (!plan.wishes?.noNewKeyring) ownKeyring(tape)
  tape.because('its cgroup namespace begins at the cgroup in which it is by now')
  namespaces.newCgroupNamespace(tape, spec)
  tape.because('through the host’s /proc, which no image can have prepared (CVE-2025-52881)')
  if (namespaces.isNew(spec, 'network')) namespaces.loopbackUp(tape)
  namespaces.nameAndTune(tape, spec)
  buildRoot(tape, scene, { fromHost, at, maps, spaces: scene.spaces })
  const common = {
    spec,
    process: process_,
    host,
    architecture,
    warnings,
    maps,
    preserve: plan.wishes?.preserveFds ?? 0,
  }
  const ready = becomeProcess(tape, { ...common, gate: true, gates: scene.gates, stdio: plan.stdio })
  return { tape, clone: cloned.entry, ready, gates: scene.gates, userNamespaces: scene.spaces.made, warnings }
}

/** Everything for which one must be root on the host, and then into the user namespace. */
function leaveHost(tape: SyscallTape, scene: Scene, maps: IdMaps): FromHost {
  const { spec, stdio } = scene.plan
  const user = spec.process?.user ?? { uid: 0, gid: 0 }
  const ids = { maps, spaces: scene.spaces }
  checkUser(user, maps)
  if (namespaces.isNew(spec, 'mount')) cloneFromSlaves(tape, scene.plan.root.propagation)
  tape.because('what is only the host’s root’s to give: files and folders of the host, the ownership of the output')
  const fromHost = madeAhead(tape, (rehearsal, wanted) => {
    buildRoot(rehearsal, { ...scene, gates: [], warnings: [] }, { ...ids, fromHost: wanted, at: 0 })
  })
  ownStdioOutside(tape, { user, maps, which: stdio })
  joinUserNamespace(tape, spec, scene.spaces)
  return fromHost
}

/** The folder of the root is opened first: the host's folders above it may be closed to the container's root. */
function enterUserNamespace(tape: SyscallTape, { plan }: Scene, maps: IdMaps): Result {
  tape.because('where the root will lie, as long as this is still the host’s root')
  const at = open(tape, plan.root.path, openFlags.O_PATH | openFlags.O_DIRECTORY)
  becomeRootInside(tape, maps, plan.host)
  namespaces.newIpcNamespace(tape, plan.spec)
  return at
}

/** Its memory cannot be read by what it joins (CVE-2016-9962), and no descriptor of ours outlives execve (CVE-2024-21626). */
export function hideFromTheContainer(tape: SyscallTape): void {
  tape.because('nothing of the player can be read or inherited: CVE-2016-9962, CVE-2024-21626')
  tape.call('prctl', [{ value: prctlOptions.PR_SET_DUMPABLE, shown: 'PR_SET_DUMPABLE' }, 0, 0, 0, 0])
  const cloexec = { value: CLOSE_RANGE_CLOEXEC, shown: 'CLOSE_RANGE_CLOEXEC' }
  tape.call('close_range', [3, { value: 0xffffffff, shown: '~0' }, cloexec])
}

/** Before clone3, so that the container never runs outside of its limits; the old half is a few pages and leaves at once. */
export function enterCgroups(tape: SyscallTape, cgroup: Omit<CgroupEntry, 'views'>): Result | undefined {
  tape.because('into the cgroups before anything is charged')
  for (const file of [...cgroup.join, ...(cgroup.afterClone ?? [])]) writeFile(tape, file, '0')
  return cgroup.into ? open(tape, cgroup.into, openFlags.O_PATH | openFlags.O_DIRECTORY) : undefined
}

/** Its own session keyring: the caller's keys stay with the caller. Not every kernel has keys. */
export function ownKeyring(tape: SyscallTape): void {
  const join = { value: KEYCTL_JOIN_SESSION_KEYRING, shown: 'KEYCTL_JOIN_SESSION_KEYRING' }
  tape.call('keyctl', [join, null], { tolerate: [ENOSYS, EPERM] })
}

export interface ProcessPlan {
  process: OciProcess
  spec: OciSpec
  host: HostFacts
  architecture: Architecture
  warnings: string[]
  /** Without a gate the process runs at once. */
  gate: boolean
  /** Takes the gates before that one; where there can be none, a filter that needs one is refused. */
  gates?: EarlyGate[]
  stdio: OwnStdio
  /** The file to be executed, where it is not the first argument. */
  program?: string | undefined
  /** Of the user namespace that it is in by now, if that is not the host's. */
  maps: IdMaps | undefined
  /** How many descriptors of the caller become the process' own; see preserved.ts. */
  preserve?: number
}

/** From root inside the container to the user's process: the same for a container's first process and for exec. */
export function becomeProcess(tape: SyscallTape, plan: ProcessPlan): number {
  const { process: asked, spec, host, architecture, warnings, preserve = 0 } = plan
  const user = asked.user ?? { uid: 0, gid: 0 }
  const seccomp = spec.linux?.seccomp && seccompFilter(spec.linux.seccomp, architecture)
  // In a user namespace of its own it has them all, whatever we have.
  const granted = plan.maps ? { ...host, permitted: allCapabilities(host) } : host
  const masks = capabilityMasks(asked.capabilities ?? {}, granted, warnings)
  if (asked.terminal && user.uid !== 0) ownTerminal(tape, user.uid)
  else if (user.uid !== 0 && !plan.maps) ownStdio(tape, user.uid, plan.stdio)
  tape.because('every folder of the host is closed before chdir, so that cwd cannot be one of them (CVE-2024-21626)')
  const firstUnused = asked.terminal ? masterDescriptor + 1 : masterDescriptor
  closeButPreserved(tape, firstUnused, preserve)
  recordLateLimits(tape, asked, host)
  recordMemoryPolicy(tape, spec.linux?.memoryPolicy)
  tape.call('chdir', [asked.cwd])
  tape.call('umask', [{ value: user.umask ?? 0o22, shown: `0${(user.umask ?? 0o22).toString(8)}` }])
  if (seccomp && !asked.noNewPrivileges) {
    tape.because('without no_new_privs the filter needs CAP_SYS_ADMIN, so it comes before capabilities are dropped')
    installFilter(tape, seccomp, plan.gates)
  }
  if (isForItself(asked)) recordScheduler(tape, asked)
  if (spec.linux?.personality) recordPersonality(tape, spec.linux.personality.domain)
  tape.because('the user and what it may do: bounding set, groups, ids, then the sets that the change of ids clears')
  dropBounding(tape, masks, host)
  becomeUser(tape, user)
  setCapabilities(tape, masks)
  if (asked.noNewPrivileges) noNewPrivileges(tape)
  if (seccomp?.notifies && asked.noNewPrivileges) {
    tape.because('the agent gets its listener while this is still create: without it there is no container')
    installFilter(tape, seccomp, plan.gates)
  }
  const ready = plan.gate ? waitForStart(tape, asked.terminal ? masterDescriptor : 0) : -1
  const executable = () => recordExec(tape, asked, plan.program)
  const exec = preserve > 0 ? recordPreserved(tape, preserve, executable) : executable
  if (seccomp && !seccomp.notifies && asked.noNewPrivileges) {
    tape.because('with no_new_privs the filter comes last: it must allow nothing but execve')
    installFilter(tape, seccomp)
  }
  tape.because('the process')
  exec()
  return ready
}

function waitForStart(tape: SyscallTape, result: number): number {
  tape.because('the gate: created, and waiting for start')
  return passGate(tape, 'created', result)
}

/** execve; a name without a slash is looked for in PATH, one attempt after the other, as execvp does. */
function recordExec(tape: SyscallTape, { args = [], env = [] }: OciProcess, program = args[0] ?? ''): void {
  const argv = tape.strings(args)
  const envp = tape.strings(lastOfEach(env))
  const folders = (env.findLast((line) => line.startsWith('PATH='))?.slice(5) ?? '/bin:/usr/bin').split(':')
  const candidates = program.includes('/') ? [program] : folders.map((folder) => `${folder || '.'}/${program}`)
  candidates.forEach((path, at) => {
    const isLast = at === candidates.length - 1
    tape.call('execve', [path, argv, envp], isLast ? {} : { tolerate: [ENOENT, EACCES] })
  })
}

/** What getenv(3) would find of a name that is there twice differs from program to program: the last one counts, as with runc. */
function lastOfEach(env: readonly string[]): string[] {
  return [...new Map(env.map((line) => [line.split('=', 1)[0], line])).values()]
}
