import { AT_RECURSIVE, cloneFlags, mountAttributes, mountFlags, openFlags, prctlOptions } from '../linux/constants.ts'
import { type HostFacts, hostFacts } from '../linux/host.ts'
import { hostIdOf } from '../spec/id-mappings.ts'
import type { OciIdMapping } from '../spec/types.ts'
import { clone, flags, here, mountSetattr, moveMount, open, openTree } from '../tape/calls.ts'
import { type Arg, type Result, SyscallTape } from '../tape/syscall-tape.ts'
import { dropBounding, setCapabilities } from './capabilities.ts'
import { loopbackUp, nameAndTune } from './namespaces.ts'
import { type Birth, type CgroupEntry, enterCgroups, hideFromTheContainer, ownKeyring } from './order.ts'
import { cloneFromSlaves, enterRoot } from './rootfs.ts'
import { noNewPrivileges } from './seccomp.ts'
import { becomeRootInside, enterNew, UserNamespaces } from './user-namespace.ts'
import { becomeUser } from './users.ts'

export interface SandboxPlan {
  hostname: string
  sysctls: Readonly<Record<string, string>>
  hostNetwork: boolean
  hostPid: boolean
  hostIpc: boolean
  cgroup: Omit<CgroupEntry, 'views'>
  emptyFolder: string
  /** A user namespace of the pod's own, to which its other namespaces belong. */
  userNamespace?: { uidMappings: readonly OciIdMapping[]; gidMappings: readonly OciIdMapping[] } | undefined
  host?: HostFacts
}

const nobody = 65535

/**
 * The pod's own process ("pause"): holds the namespaces, and as process 1 of the pod's pid namespace makes zombies
 * vanish. It is the player itself, in an empty read-only root, without any privilege, in a few kilobytes.
 */
export function recordSandbox(plan: SandboxPlan): Birth {
  const { host = hostFacts() } = plan
  const tape = new SyscallTape()
  hideFromTheContainer(tape)
  const into = enterCgroups(tape, plan.cgroup)
  const spaces = new UserNamespaces()
  const { userNamespace } = plan
  const maps = userNamespace && { uid: userNamespace.uidMappings, gid: userNamespace.gidMappings }
  if (maps) cloneFromSlaves(tape)
  const empty = maps && sealedCopy(tape, plan.emptyFolder)
  if (maps) enterNew(tape, spaces, maps)
  tape.because('the namespaces that the containers of the pod will join')
  const { CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS } = cloneFlags
  const own =
    CLONE_NEWNS |
    (plan.hostNetwork ? 0 : CLONE_NEWNET | CLONE_NEWUTS) |
    (plan.hostPid ? 0 : CLONE_NEWPID) |
    (plan.hostIpc || maps ? 0 : CLONE_NEWIPC)
  const cloned = clone(tape, own, into)
  const at = open(tape, plan.emptyFolder, openFlags.O_PATH | openFlags.O_DIRECTORY)
  if (maps) becomeRootInside(tape, maps, host)
  // The files of its message queues belong to who makes it.
  if (maps && !plan.hostIpc) tape.call('unshare', [flags(CLONE_NEWIPC, cloneFlags)])
  tape.call('setsid', [])
  ownKeyring(tape)
  if (!plan.hostNetwork) loopbackUp(tape)
  const hostname = plan.hostNetwork ? {} : { hostname: plan.hostname }
  nameAndTune(tape, { ...hostname, linux: { sysctl: { ...plan.sysctls } } })
  emptyRoot(tape, { at, emptyFolder: plan.emptyFolder, copy: empty })
  tape.because('no privilege, and zombies vanish by themselves when SIGCHLD is ignored (wait(2))')
  const none = { bounding: 0n, effective: 0n, inheritable: 0n, permitted: 0n, ambient: 0n }
  dropBounding(tape, none, host)
  becomeUser(tape, { uid: idInside(maps?.uid), gid: idInside(maps?.gid) })
  setCapabilities(tape, none)
  noNewPrivileges(tape)
  tape.call('prctl', [{ value: prctlOptions.PR_SET_NAME, shown: 'PR_SET_NAME' }, 'pause', 0, 0, 0])
  const ignore = Buffer.alloc(32)
  ignore.writeBigUInt64LE(1n) // SIG_IGN
  tape.call('rt_sigaction', [{ value: 17, shown: 'SIGCHLD' }, tape.struct(ignore, '{SIG_IGN}'), null, 8])
  tape.because('done: closing the report says so; then sleep for ever')
  tape.call('close_range', [0, { value: 0xffffffff, shown: '~0' }, 0])
  tape.call('ppoll', [null, 0, null, null, 0], { policy: 'repeat' })
  return { tape, clone: cloned.entry, ready: -1, gates: [], userNamespaces: spaces.made, warnings: [] }
}

/** Nobody, if the pod's user namespace has that id, or else whoever it has. */
function idInside(mappings: readonly OciIdMapping[] | undefined): number {
  if (!mappings || hostIdOf(mappings, nobody) !== undefined) return nobody
  return Math.max(...mappings.map(({ containerID, size }) => containerID + size - 1))
}

function emptyRoot(tape: SyscallTape, root: { at: Arg; emptyFolder: string; copy: Result | undefined }): void {
  tape.because('an empty, read-only root: a container that shares the pid namespace can look at /proc/1/root')
  tape.call('mount', [null, '/', null, flags(mountFlags.MS_SLAVE | mountFlags.MS_REC, mountFlags), null])
  const copy = root.copy ?? sealedCopy(tape, root.emptyFolder)
  moveMount(tape, copy, root.at)
  enterRoot(tape, copy)
}

function sealedCopy(tape: SyscallTape, folder: string): Result {
  const { MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC } = mountAttributes
  const copy = openTree(tape, here, folder, AT_RECURSIVE)
  const sealed = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC
  mountSetattr(tape, copy, { set: sealed, clear: 0 })
  return copy
}
