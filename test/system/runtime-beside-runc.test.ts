import { chmodSync, chownSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { HookName, OciHook, OciSpec } from '../../runtime/index.ts'
import { aFixture, type Fixture, traces } from './runtime-fixture.ts'
import { type Engine, hasRunc, ours, removeGroups, runc } from './runtime-must/engines.ts'

const canRun = process.getuid?.() === 0 && hasRunc
type Change = (spec: Required<OciSpec>) => void

/** The same config.json in our runtime and in Debian's runc: what the program sees must be the same. */
describe.skipIf(!canRun)('beside runc (needs root and runc)', () => {
  let on: Fixture
  let engines: Engine[]
  let rootfs: string
  beforeAll(async () => {
    on = await aFixture('beside')
    engines = [ours(on), runc(on)]
    rootfs = on.rootfs
    // runc looks for the root as the container's root.
    chmodSync(on.folder, 0o711)
    for (const folder of ['proc', 'sys', 'dev', 'seed', 'bound', 'plain', 'a', 'b', 'c', 'd'])
      mkdirSync(join(rootfs, folder))
    for (const file of ['one', 'two']) writeFileSync(join(rootfs, 'seed', file), file)
    symlinkSync('one', join(rootfs, 'seed', 'link'))
    chmodSync(join(rootfs, 'seed', 'two'), 0o640)
    chownSync(join(rootfs, 'seed', 'two'), 5, 6)
    chmodSync(join(rootfs, 'seed'), 0o750)
  })
  afterAll(async () => {
    removeGroups(`test-beside-${process.pid}`)
    await on[Symbol.asyncDispose]()
    expect(traces(`test-beside-${process.pid}`)).toEqual([])
    expect(traces(on.mark)).toEqual([])
  })

  /** What the script says in each; equal lines, and not none. */
  async function same(script: string, change: Change = () => {}): Promise<string> {
    const outputs: string[] = []
    for (const engine of engines) {
      const spec = on.spec(['sh', '-c', `exec 2>&1; ${script}`], (made) => {
        made.linux.namespaces = made.linux.namespaces?.filter(({ type }) => type !== 'cgroup') ?? []
        made.mounts = made.mounts.filter(({ type }) => type !== 'cgroup')
        change(made)
      })
      // Another group for each: runc refuses one that holds the other's.
      const { output, exitCode, error } = await engine.run(spec)
      expect({ engine: engine.name, exitCode, error }).toEqual({ engine: engine.name, exitCode: 0, error: '' })
      outputs.push(output)
    }
    const [own = '', theirs = ''] = outputs
    expect(own).toBe(theirs)
    expect(own).not.toBe('')
    return own
  }

  const users: Change = ({ linux }) => {
    linux.namespaces?.push({ type: 'user' })
    linux.uidMappings = [{ containerID: 0, hostID: 100_000, size: 65_536 }]
    linux.gidMappings = [{ containerID: 0, hostID: 200_000, size: 65_536 }]
  }
  // runc links /dev/core to /proc/kcore where the kernel has that: it is masked, and no part of the spec.
  const devices = `ls -ln /dev | grep -v ' core -> ' | sed 's/[A-Z][a-z][a-z] .*[0-9] //'`
  // Ours says the mode of a tmpfs as an option and not by chmod; and makes the mount of a sysfs read-only, not the filesystem,
  // which the other containers of a pod share.
  const mountsOf = (...points: string[]) =>
    points
      .map(
        (point) =>
          `grep ' ${point} ' /proc/self/mountinfo | cut -d' ' -f5,6,7-20 | sed 's/ - / /; s/master:[0-9]*//; s/,mode=755//; s/sysfs r[ow]/sysfs/'`,
      )
      .join('; ')

  it('the default mounts, devices, masked and read-only paths', async () => {
    await same(
      `${mountsOf('/proc', '/dev', '/dev/pts', '/dev/shm', '/dev/mqueue', '/sys')}; ${devices}; cat /proc/kcore | wc -c; ls /sys/firmware; echo x > /proc/sysrq-trigger; echo end`,
    )
  })

  it('options of mounts', async () => {
    const options = {
      '/a': ['nosuid', 'nodev', 'noexec', 'noatime', 'size=1m'],
      '/b': ['ro', 'strictatime', 'nodiratime'],
      '/c': ['sync', 'dirsync', 'rw', 'suid'],
      '/d': ['ro', 'rw', 'noexec', 'exec', 'relatime'],
    }
    await same(`${mountsOf(...Object.keys(options), '/bound')}; stat -c '%a %n' /a /b /plain /seed`, (spec) => {
      spec.root = { path: rootfs }
      for (const [destination, list] of Object.entries(options)) {
        spec.mounts.push({ destination, type: 'tmpfs', source: 'tmpfs', options: list })
      }
      spec.mounts.push({
        destination: '/bound',
        type: 'bind',
        source: on.folder,
        options: ['rbind', 'ro', 'nosuid', 'rprivate'],
      })
      spec.mounts.push({ destination: '/plain', type: 'tmpfs', source: 'tmpfs' })
    })
  })

  it('tmpcopyup', async () => {
    await same('cd /seed; stat -c "%n %a %u %g %F" . one two link; cat one two; readlink link', (spec) => {
      spec.mounts.push({ destination: '/seed', type: 'tmpfs', source: 'tmpfs', options: ['tmpcopyup'] })
    })
  })

  it('propagation of the root', async () => {
    for (const kind of ['private', 'slave', 'shared']) {
      const optional = await same(
        `echo kind; grep ' / / ' /proc/self/mountinfo | cut -d' ' -f7 | sed 's/:.*//'`,
        (spec) => {
          spec.linux.rootfsPropagation = kind
        },
      )
      expect(optional).toContain('kind')
    }
  })

  it('a user namespace', async () => {
    await same(
      `cat /proc/self/uid_map /proc/self/gid_map; id; ${devices} | grep -v mqueue; grep -E 'Cap|Groups|NoNewPrivs|Seccomp:' /proc/self/status; ${mountsOf('/proc', '/dev', '/sys', '/dev/mqueue')}; touch /dev/shm/x; ls -ln /dev/shm/x | cut -c1-30; cat /proc/sys/kernel/hostname`,
      users,
    )
  })

  it('the process: groups, umask, capabilities, limits, out-of-memory score', async () => {
    await same(
      'id; umask; ulimit -a; cat /proc/self/oom_score_adj; grep -E "Cap|NoNewPrivs" /proc/self/status; env; pwd',
      (spec) => {
        const all = ['CAP_CHOWN', 'CAP_NET_RAW', 'CAP_KILL']
        Object.assign(spec.process ?? {}, {
          user: { uid: 7, gid: 8, umask: 0o77, additionalGids: [9, 10] },
          capabilities: { bounding: all, permitted: all, effective: all, inheritable: all, ambient: ['CAP_KILL'] },
          rlimits: [
            { type: 'RLIMIT_NOFILE', soft: 100, hard: 200 },
            { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
            { type: 'RLIMIT_NPROC', soft: 50, hard: 60 },
          ],
          oomScoreAdj: 500,
          noNewPrivileges: false,
          cwd: '/tmp',
          env: ['PATH=/bin', 'HOME=/tmp'],
        })
      },
    )
  })

  it('hooks: which, in what order and with what state', async () => {
    const kinds: HookName[] = ['prestart', 'createRuntime', 'createContainer', 'poststart', 'poststop']
    const told: unknown[] = []
    for (const engine of engines) {
      const file = join(on.folder, `hooks-${engine.name}`)
      const hook = (kind: HookName): OciHook => ({
        path: '/bin/sh',
        args: ['sh', '-c', `read state; echo "$state" | sed 's/^/${kind} /' >> ${file}`],
        env: ['PATH=/bin:/usr/bin'],
      })
      const spec = on.spec(['true'], (made) => {
        made.hooks = Object.fromEntries(kinds.map((kind) => [kind, [hook(kind)]]))
      })
      await engine.run(spec)
      const lines = readFileSync(file, 'utf8').trim().split('\n')
      told.push(
        lines.map((line) => {
          const { status, pid } = JSON.parse(line.slice(line.indexOf(' '))) as { status: string; pid?: number }
          return {
            kind: line.split(' ')[0],
            status,
            pid: pid === undefined || pid === 0 ? 'none' : pid === 1 ? 'first' : 'host’s',
          }
        }),
      )
      rmSync(file)
    }
    const [own, theirs] = told as { kind: string; status: string }[][]
    // runc 1.1 still says `created` to poststart, which the spec has for programs that run.
    const corrected = theirs?.map((one) => (one.kind === 'poststart' ? { ...one, status: 'running' } : one))
    expect(own).toEqual(corrected)
  })
})
