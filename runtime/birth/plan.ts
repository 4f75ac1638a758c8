import type { HostFacts } from '../linux/host.ts'
import type { Architecture } from '../linux/syscall-numbers.ts'
import type { OciSpec } from '../spec/types.ts'
import type { CgroupView } from './mounts.ts'
import type { RootPlan } from './rootfs.ts'
import type { OwnStdio } from './users.ts'

/** How a process gets into its cgroups. */
export interface CgroupEntry {
  /** The folder of the v2 hierarchy, where there is one: clone3 makes the process in it. */
  into?: string
  /** `tasks` files of v1 hierarchies, written before clone3. */
  join: readonly string[]
  /** That of the group which counts processes: in it, the half that leaves after clone3 would take the place of another. */
  afterClone?: readonly string[]
  views: readonly CgroupView[]
}

/** What the command line of an OCI runtime can ask for and config.json has no words for. */
export interface BirthWishes {
  /** So many descriptors of the caller, from 3 on, become the process' own. */
  preserveFds?: number
  /** The root is entered by MS_MOVE and chroot(2): where it lies on a ramdisk, pivot_root(2) does not work. */
  noPivot?: boolean
  /** The caller's session keyring is kept. */
  noNewKeyring?: boolean
}

export interface BirthPlan {
  spec: OciSpec
  root: RootPlan
  /** Against which relative sources of bind mounts count. */
  bundle?: string | undefined
  cgroup: CgroupEntry
  /** A folder of the host in which there is nothing, to hide folders behind. */
  emptyFolder: string
  /** Which of 0, 1 and 2 become the user's own. */
  stdio: OwnStdio
  host?: HostFacts
  architecture?: Architecture
  wishes?: BirthWishes | undefined
}
