import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { create } from '../runtime/container/create.ts'
import { deleteContainer } from '../runtime/container/delete.ts'
import { kill } from '../runtime/container/kill.ts'
import { localPlayer } from '../runtime/container/local-player.ts'
import { pause, resume } from '../runtime/container/pause.ts'
import { start } from '../runtime/container/start.ts'
import { type ContainerState, requireState } from '../runtime/container/state.ts'
import { update } from '../runtime/container/update.ts'
import type { LinuxResources } from '../runtime/spec/types.ts'
import { type Act, acting, type Place, specOf, usage, warn } from './oci-act.ts'
import { type ExecFlags, execForeground, runForeground } from './oci-foreground.ts'
import { looking } from './oci-look.ts'
import { mounting } from './oci-mounts.ts'

/*
 * `coracle oci`: the command line of runc for our own runtime, without a resident process.
 * IMPLEMENTED: create start state kill delete run exec list ps pause resume update spec features explain
 * NOT IMPLEMENTED: checkpoint restore events, --console-socket, --preserve-fds, --systemd-cgroup, --no-pivot: refused.
 */
export function ociCommand(): Command {
  const oci = new Command('oci').description('an OCI runtime: the command line of runc').enablePositionalOptions()
  oci.option('--root <path>', 'folder of the containers’ state', '/run/coracle-oci')
  oci.option('--log <file>', 'where errors are written as well')
  oci.option('--log-format <format>', 'text or json', 'text')
  oci.option('--cgroup-manager <name>', 'cgroupfs', 'cgroupfs')
  const place: Place = () => {
    const { root, cgroupManager } = oci.opts<{ root: string; cgroupManager: string }>()
    if (cgroupManager !== 'cgroupfs') throw usage(`cgroup manager ${cgroupManager} is not supported`)
    return { root: resolve(root), player: localPlayer({ root: resolve(root) }), warn }
  }
  const act: Act = (perform) => acting(perform, oci)
  lifecycle(oci, place, act)
  looking(oci, place, act)
  changing(oci, place, act)
  executing(oci, place, act)
  mounting(oci, place, act)
  return oci
}

interface BirthFlags {
  bundle: string
  pidFile?: string
  detach?: boolean
  keep?: boolean
}

function lifecycle(oci: Command, place: Place, act: Act): void {
  const withBundle = (command: Command) =>
    command
      .option('-b, --bundle <path>', 'folder with config.json', '.')
      .option('--pid-file <file>', 'write the pid of the first process here')
  withBundle(oci.command('create <id>').description('make a container that waits for start')).action(
    act(async (id: string, flags: BirthFlags) => {
      const spec = specOf(flags.bundle)
      if (spec.process?.terminal)
        throw usage('process.terminal with create needs --console-socket, which is not supported yet')
      pidFile(flags, await create(place(), { id, spec, bundle: resolve(flags.bundle) }))
    }),
  )
  oci
    .command('start <id>')
    .description('run the program of a created container')
    .action(
      act(async (id: string) => {
        await start(place(), id)
      }),
    )
  withBundle(oci.command('run <id>').description('create, start, wait, delete'))
    .option('-d, --detach', 'leave it running')
    .option('--keep', 'do not delete it afterwards')
    .action(
      act(async (id: string, flags: BirthFlags) => {
        const spec = specOf(flags.bundle)
        return runForeground(
          place().root,
          { id, spec, bundle: resolve(flags.bundle) },
          {
            ...flags,
            warn,
            onCreated: (state) => pidFile(flags, state),
          },
        )
      }),
    )
  oci
    .command('kill <id> [signal]')
    .description('send a signal, SIGTERM unless given')
    .option('-a, --all', 'to every process')
    .action(
      act(async (id: string, signal: string | undefined, { all = false }: { all?: boolean }) => {
        await kill(place(), id, { signal: signal ?? 'SIGTERM', all })
      }),
    )
  oci
    .command('delete <id>')
    .description('remove a stopped container')
    .option('-f, --force', 'kill it first')
    .action(act(async (id: string, { force = false }: { force?: boolean }) => deleteContainer(place(), id, { force })))
}

function executing(oci: Command, place: Place, act: Act): void {
  oci
    .command('exec <id> [command...]')
    .description('run a program in a running container')
    .passThroughOptions()
    .option('--cwd <path>', 'working directory')
    .option('-e, --env <name=value>', 'environment', oneMore)
    .option('-t, --tty', 'with a terminal')
    .option('-u, --user <uid[:gid]>', 'user', numericUser)
    .option('-p, --process <file>', 'process.json')
    .option('--pid-file <file>', 'write the pid here')
    .option('-d, --detach', 'do not wait for it')
    .action(
      act((id: string, command: string[], flags: ExecFlags) =>
        execForeground(place().root, id, { command, flags, warn }),
      ),
    )
}

/** Collects an option that may be given several times. */
function oneMore(value: string, before: string[] = []): string[] {
  return [...before, value]
}

/** Names would have to be looked up in the container's /etc/passwd; numbers only, as runc has it. */
function numericUser(value: string): string {
  if (!/^\d+(:\d+)?$/.test(value)) throw new InvalidArgumentError('not <uid>[:<gid>]')
  return value
}

function changing(oci: Command, place: Place, act: Act): void {
  oci
    .command('pause <id>')
    .description('freeze all processes')
    .action(act((id: string) => pause(place().root, id)))
  oci
    .command('resume <id>')
    .description('let them go on')
    .action(act((id: string) => resume(place().root, id)))
  oci
    .command('update <id>')
    .description('change limits')
    .option('-r, --resources <file>', 'JSON of linux.resources; - is standard input')
    .option('--memory <bytes>')
    .option('--memory-swap <bytes>')
    .option('--memory-reservation <bytes>')
    .option('--cpu-share <shares>')
    .option('--cpu-quota <microseconds>')
    .option('--cpu-period <microseconds>')
    .option('--cpuset-cpus <list>')
    .option('--cpuset-mems <list>')
    .option('--pids-limit <count>')
    .action(
      act((id: string, flags: Record<string, string | undefined>) => {
        const { resources } = flags
        const wanted = resources
          ? (JSON.parse(readFileSync(resources === '-' ? 0 : resources, 'utf8')) as LinuxResources)
          : fromFlags(flags)
        requireState(place().root, id, { verb: 'update', states: ['created', 'running', 'paused'] })
        update(place().root, id, wanted)
      }),
    )
}

function fromFlags(flags: Record<string, string | undefined>): LinuxResources {
  const number = (name: string, key: string) => (flags[name] === undefined ? {} : { [key]: Number(flags[name]) })
  const text = (name: string, key: string) => (flags[name] === undefined ? {} : { [key]: flags[name] })
  const memory = {
    ...number('memory', 'limit'),
    ...number('memorySwap', 'swap'),
    ...number('memoryReservation', 'reservation'),
  }
  const cpu = {
    ...number('cpuShare', 'shares'),
    ...number('cpuQuota', 'quota'),
    ...number('cpuPeriod', 'period'),
    ...text('cpusetCpus', 'cpus'),
    ...text('cpusetMems', 'mems'),
  }
  return { memory, cpu, ...(flags.pidsLimit === undefined ? {} : { pids: { limit: Number(flags.pidsLimit) } }) }
}

function pidFile({ pidFile }: BirthFlags, { pid }: ContainerState): void {
  if (pidFile) writeFileSync(pidFile, String(pid))
}
