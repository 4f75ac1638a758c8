import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { CoracleError, messageOf } from '../runtime/base/errors.ts'
import { cgroups } from '../runtime/cgroups/driver.ts'
import { birthOf, create } from '../runtime/container/create.ts'
import { deleteContainer } from '../runtime/container/delete.ts'
import { features } from '../runtime/container/features.ts'
import { kill } from '../runtime/container/kill.ts'
import { localPlayer } from '../runtime/container/local-player.ts'
import { pause, resume } from '../runtime/container/pause.ts'
import type { Workplace } from '../runtime/container/player.ts'
import { start } from '../runtime/container/start.ts'
import { type ContainerState, listStates, requireState, stateOf } from '../runtime/container/state.ts'
import { update } from '../runtime/container/update.ts'
import { defaultSpec } from '../runtime/spec/default-spec.ts'
import type { LinuxResources, OciSpec } from '../runtime/spec/types.ts'
import { listing } from '../runtime/tape/listing.ts'
import { type ExecFlags, execForeground, runForeground } from './oci-foreground.ts'

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
  const place = (): Workplace => {
    const { root, cgroupManager } = oci.opts<{ root: string; cgroupManager: string }>()
    if (cgroupManager !== 'cgroupfs') throw usage(`cgroup manager ${cgroupManager} is not supported`)
    return { root: resolve(root), player: localPlayer({ root: resolve(root) }), warn }
  }
  /** Whatever is thrown becomes one line, exit code 1, and a record in the log that engines read. */
  const act =
    <Args extends unknown[]>(perform: (...args: Args) => Promise<number> | Promise<void> | void) =>
    async (...args: Args) => {
      try {
        process.exit((await perform(...args)) ?? 0)
      } catch (error) {
        report(error, oci.opts())
        process.exit(1)
      }
    }
  lifecycle(oci, place, act)
  looking(oci, place, act)
  changing(oci, place, act)
  executing(oci, place, act)
  return oci
}

type Place = () => Workplace
type Act = <Args extends unknown[]>(
  perform: (...args: Args) => Promise<number> | Promise<void> | void,
) => (...args: Args) => Promise<void>

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
  const several = (value: string, before: string[] = []) => [...before, value]
  oci
    .command('exec <id> [command...]')
    .description('run a program in a running container')
    .passThroughOptions()
    .option('--cwd <path>', 'working directory')
    .option('-e, --env <name=value>', 'environment', several)
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

/** Names would have to be looked up in the container's /etc/passwd; numbers only, as runc has it. */
function numericUser(value: string): string {
  if (!/^\d+(:\d+)?$/.test(value)) throw new InvalidArgumentError('not <uid>[:<gid>]')
  return value
}

function looking(oci: Command, place: Place, act: Act): void {
  oci
    .command('state <id>')
    .description('print the state as JSON')
    .action(act((id: string) => print(JSON.stringify(ociState(stateOf(place().root, id)), null, 2))))
  oci
    .command('list')
    .description('list containers')
    .option('-f, --format <format>', 'table or json', 'table')
    .option('-q, --quiet', 'ids only')
    .action(
      act(({ format, quiet }: { format: string; quiet?: boolean }) => {
        const states = listStates(place().root)
        if (quiet) print(states.map(({ id }) => id).join('\n'))
        else if (format === 'json') print(JSON.stringify(states.map(listRow)))
        else
          print(
            table(
              ['ID', 'PID', 'STATUS', 'BUNDLE', 'CREATED', 'OWNER'],
              states.map((state) => Object.values(listRow(state)).slice(1, 6).concat('root')),
            ),
          )
      }),
    )
  oci
    .command('ps <id>')
    .description('list the processes of a container')
    .option('-f, --format <format>', 'table or json', 'table')
    .action(
      act((id: string, { format }: { format: string }) => {
        const pids = cgroups().pids(stateOf(place().root, id).cgroupPath)
        if (format === 'json') return print(JSON.stringify(pids))
        const name = (pid: number) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim()
        return print(
          table(
            ['PID', 'CMD'],
            pids.map((pid) => [String(pid), name(pid)]),
          ),
        )
      }),
    )
  oci
    .command('features')
    .description('print what this runtime supports')
    .action(act(() => print(JSON.stringify(features(), null, 2))))
  oci
    .command('spec')
    .description('write a default config.json')
    .option('-b, --bundle <path>', 'folder to write to', '.')
    .action(
      act(({ bundle }: { bundle: string }) => {
        writeFileSync(`${bundle}/config.json`, `${JSON.stringify(defaultSpec(), null, 2)}\n`, { flag: 'wx' })
      }),
    )
  oci
    .command('explain <bundle>')
    .description('print every system call that would make the container; touches nothing')
    .action(
      act((bundle: string) => {
        const { tape, warnings } = birthOf({ root: place().root }, 'explained', {
          spec: specOf(bundle),
          bundle: resolve(bundle),
        })
        for (const warning of warnings) warn(warning)
        print(listing(tape).trimEnd())
      }),
    )
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

/** The bundle's config.json, parsed. */
function specOf(bundle: string): OciSpec {
  return JSON.parse(readFileSync(`${bundle}/config.json`, 'utf8')) as OciSpec
}

/** The state as the runtime-spec has it. */
function ociState(state: ContainerState): Record<string, unknown> {
  const { id, status, pid = 0, bundle = '', annotations } = state
  return { ociVersion: '1.3.0', id, status, pid, bundle, annotations }
}

function listRow({ id, status, pid = 0, bundle = '', createdAt }: ContainerState): Record<string, string> {
  return { ociVersion: '1.3.0', id, pid: String(pid), status, bundle, created: createdAt, owner: 'root' }
}

function pidFile({ pidFile }: BirthFlags, { pid }: ContainerState): void {
  if (pidFile) writeFileSync(pidFile, String(pid))
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => (row[at] ?? '').length)) + 2)
  return [head, ...rows]
    .map((row) =>
      row
        .map((cell, at) => cell.padEnd(widths[at] ?? 0))
        .join('')
        .trimEnd(),
    )
    .join('\n')
}

function usage(reason: string): CoracleError {
  return new CoracleError(reason, { code: 'USAGE' })
}

function print(text: string): void {
  writeFileSync(1, `${text}\n`)
}

function warn(message: string): void {
  writeFileSync(2, `warning: ${message}\n`)
}

function report(error: unknown, { log, logFormat }: { log?: string; logFormat?: string }): void {
  const message = messageOf(error)
  writeFileSync(2, `coracle oci: ${message}\n`)
  if (!log) return
  const entry = { level: 'error', msg: message, time: new Date().toISOString() }
  const line =
    logFormat === 'json' ? JSON.stringify(entry) : `time="${entry.time}" level=error msg=${JSON.stringify(message)}`
  writeFileSync(log, `${line}\n`, { flag: 'a' })
}
