import { MNT_DETACH, mountAttributes, mountFlags, openFlags, UMOUNT_NOFOLLOW } from '../linux/constants.ts'
import { type HostFacts, hostFacts } from '../linux/host.ts'
import { specUnsupported } from '../spec/errors.ts'
import type { OciMount, OciSpec } from '../spec/types.ts'
import { flags, mountSetattr, open, openInRoot } from '../tape/calls.ts'
import { type Result, SyscallTape } from '../tape/syscall-tape.ts'
import { enterContainer } from './exec.ts'
import { mountOptions } from './mount-options.ts'
import { type CgroupView, recordMounts } from './mounts.ts'
import { type Birth, hideFromTheContainer } from './order.ts'
import { cloneFromSlaves } from './rootfs.ts'
import { idMapsOf, madeAhead, UserNamespaces } from './user-namespace.ts'

export interface LiveMountPlan {
  /** The container's own config.json. */
  spec: OciSpec
  bundle?: string | undefined
  cgroups: readonly CgroupView[]
  host?: HostFacts
}

/**
 * One more mount in a running container: what comes from the host is cloned there (open_tree(2)), and attached by
 * descriptor inside the container's mount namespace (move_mount(2)), where the target is resolved as it is at birth.
 * `targetDescriptor` is a pidfd of the container's first process.
 */
export function recordLiveMount(mount: OciMount, plan: LiveMountPlan): Birth {
  const tape = new SyscallTape()
  const maps = idMapsOf(plan.spec)
  const spaces = new UserNamespaces()
  const common = {
    spec: { ...plan.spec, mounts: [mount] },
    bundle: plan.bundle,
    cgroups: plan.cgroups,
    maps,
    spaces,
    warnings: [],
    modeOf: () => undefined,
    throughLinks: (destination: string) => destination,
    copyUp: () => {
      throw specUnsupported(`mounts ${mount.destination}`, 'tmpcopyup in a running container is not supported')
    },
  }
  hideFromTheContainer(tape)
  const isShared = mountOptions(mount).propagations.some(({ flag }) => flag === mountFlags.MS_SHARED)
  cloneFromSlaves(tape, isShared ? 'shared' : undefined)
  const fromHost = madeAhead(tape, (rehearsal, wanted) => {
    recordMounts(rehearsal, { root: 0, fromHost: wanted, ...common })
  })
  const { cloned, root } = enter(tape, plan)
  tape.call('umask', [0])
  for (const made of recordMounts(tape, { root, fromHost, ...common })) {
    mountSetattr(tape, made, { set: mountAttributes.MOUNT_ATTR_RDONLY, clear: 0 })
  }
  return { ...birthOf(tape, cloned), userNamespaces: spaces.made }
}

/** The reverse: the topmost mount at `destination` is taken away, at once for new users of it (MNT_DETACH). */
export function recordLiveUnmount(destination: string, plan: LiveMountPlan): Birth {
  const tape = new SyscallTape()
  hideFromTheContainer(tape)
  const { cloned, root } = enter(tape, plan)
  tape.because('by its name in its folder, which no link can have replaced')
  const path = destination.replace(/\/+$/, '')
  const slash = path.lastIndexOf('/')
  const folder = openInRoot(tape, root, path.slice(0, Math.max(slash, 0)), {}, openFlags.O_DIRECTORY)
  tape.call('fchdir', [folder])
  const how = flags(MNT_DETACH | UMOUNT_NOFOLLOW, { MNT_DETACH, UMOUNT_NOFOLLOW })
  tape.call('umount2', [path.slice(slash + 1), how])
  return birthOf(tape, cloned)
}

function enter(tape: SyscallTape, { spec, host = hostFacts() }: LiveMountPlan): { cloned: Result; root: Result } {
  // Of its pid namespace too: a proc that is mounted shows that one.
  const cloned = enterContainer(tape, spec, host)
  return { cloned, root: open(tape, '/', openFlags.O_PATH | openFlags.O_DIRECTORY) }
}

function birthOf(tape: SyscallTape, cloned: Result): Birth {
  return { tape, clone: cloned.entry, ready: -1, gates: [], userNamespaces: [], warnings: [] }
}
