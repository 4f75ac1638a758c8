import { readFileSync } from 'node:fs'
import { cgroupUnsupported } from './errors.ts'

/** Where the controllers of this host are. On a hybrid host they are v1; the v2 tree beside them is `unified`. */
export type CgroupLayout =
  | {
      version: 1
      mounts: ReadonlyMap<string, string>
      /** Hierarchies that we use nothing of (`name=systemd`, perf_event); other runtimes make groups there. */
      others: readonly string[]
    }
  | { version: 2; mount: string }

/** Reads /proc/self/mounts. Throws CGROUP_UNSUPPORTED on a host without cgroups. */
export function findLayout(mounts = readFileSync('/proc/self/mounts', 'utf8')): CgroupLayout {
  const rows = mounts.split('\n').map((line) => line.split(' '))
  const v1 = new Map<string, string>()
  const others: string[] = []
  let unified: string | undefined
  for (const [, folder = '', type, options = ''] of rows) {
    if (type === 'cgroup2') unified ??= folder
    if (type !== 'cgroup') continue
    const known = options.split(',').filter((option) => controllers.includes(option))
    // What is mounted later may be a container's view of its own group.
    for (const controller of known) if (!v1.has(controller)) v1.set(controller, folder)
    if (known.length === 0) others.push(folder)
  }
  if (v1.has('memory')) {
    if (unified) v1.set('unified', unified)
    return { version: 1, mounts: v1, others }
  }
  if (unified) return { version: 2, mount: unified }
  throw cgroupUnsupported('cgroups', 'this host has no cgroup hierarchy')
}

const controllers = [
  'cpu',
  'cpuacct',
  'cpuset',
  'memory',
  'devices',
  'freezer',
  'blkio',
  'pids',
  'hugetlb',
  'rdma',
  'net_cls',
  'net_prio',
]
