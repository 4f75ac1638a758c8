import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { execProcess } from '../runtime/container/exec.ts'
import { execHere } from '../runtime/container/exec-local.ts'
import { exclusively } from '../runtime/container/lock.ts'
import { savedConfig } from '../runtime/container/saved-config.ts'
import { Children } from '../runtime/launcher/children.ts'
import type { OciCapabilities, OciProcess } from '../runtime/spec/types.ts'
import { type Call, idOf, usage, type Verb } from './oci-act.ts'
import { preservedDescriptors } from './oci-preserved.ts'
import { checkConsole, forwardSignals } from './oci-streams.ts'
import type { Relay } from './oci-terminal.ts'

export const verbs: Readonly<Record<string, Verb>> = {
  exec: {
    args: '<id> [command...]',
    does: 'run one more program in a container',
    flags: [
      '--console-socket <path>  unix socket to which the terminal’s master is sent',
      '--cwd <path>  working directory',
      '-e, --env <name=value>...  environment',
      '-t, --tty  with a terminal',
      '-u, --user <uid[:gid]>  user, in numbers',
      '-g, --additional-gids <gid>...  more groups',
      '-p, --process <file>  process of config.json, instead of a command and these flags',
      '-d, --detach  do not wait for its end',
      '--pid-file <file>  write its pid here',
      '--process-label <label>  SELinux label',
      '--apparmor <profile>  AppArmor profile',
      '--no-new-privs  it may not gain privileges',
      '-c, --cap <capability>...  more capabilities',
      '--preserve-fds <n>  pass on so many descriptors from 3 on, after those of $LISTEN_FDS',
      '--cgroup <[controllers:]path>...  an existing group below the container’s own',
      '--ignore-paused  also in a paused container; it runs when that is resumed',
      '--launcher <root>  in a container that the launcher of this root keeps',
      '--trace  print the tape with results and microseconds on standard error',
    ],
    takes: [1, Number.POSITIVE_INFINITY],
    flagsEnd: 1,
    // Whoever looks at the exit code alone must be able to tell our failure from most of the program's.
    failsWith: 255,
    act: executing,
  },
}

async function executing(call: Call): Promise<number> {
  const { flags, root } = call
  const id = idOf(call)
  const launcher = flags.text('launcher')
  const process_ = processOf(launcher === undefined ? call : { ...call, root: resolve(launcher) })
  if (launcher !== undefined) return (await import('./oci-launcher.ts')).execByLauncher(call, id, process_)
  const detach = flags.has('detach')
  const socket = flags.text('console-socket')
  const terminal = process_.terminal === true
  checkConsole({ terminal, detach, socket })
  const preserveFds = preservedDescriptors(flags, process_)
  const trace = flags.has('trace') ? (await import('../runtime/container/trace.ts')).birthTrace('exec') : undefined
  const options = {
    process: process_,
    preserveFds,
    ignorePaused: flags.has('ignore-paused'),
    subgroups: flags.all('cgroup'),
    ...(trace ? { trace } : {}),
  }
  // Whoever asked us to detach waits for the process itself, which may end before we do: so it is not ours to reap.
  const children = detach ? undefined : new Children()
  let relay: Relay | undefined
  const born = async () => {
    const made = await execHere(root, id, options)
    for (const warning of made.warnings) call.warn(warning)
    const exited = children?.wait(made.pid)
    if (terminal) {
      const { relayTerminal, sendMaster } = await import('./oci-terminal.ts')
      if (socket === undefined) relay = relayTerminal(made.pid, made.master)
      else await sendMaster(made.pid, made.master, socket)
    }
    const pidFile = flags.text('pid-file')
    if (pidFile !== undefined) writeFileSync(pidFile, String(made.pid))
    await made.open()
    return { pid: made.pid, exited }
  }
  try {
    // A frozen container could not be thawed while we hold its lock.
    const { pid, exited } = options.ignorePaused ? await born() : await exclusively(root, id, born)
    if (!exited) return 0
    const stopForwarding = forwardSignals(pid)
    const { exitCode } = await exited
    stopForwarding()
    return exitCode
  } finally {
    children?.close()
    relay?.finish()
    if (trace) writeFileSync(2, await trace.text())
  }
}

function processOf({ root, args, flags }: Call): OciProcess {
  const file = flags.text('process')
  if (file !== undefined) return JSON.parse(readFileSync(file, 'utf8')) as OciProcess
  const [id = '', ...command] = args
  if (command.length === 0) throw usage('process args cannot be empty')
  const { spec } = savedConfig(root, id)
  const own = spec.process
  const cwd = flags.text('cwd')
  const { columns = 80, rows = 24 } = process.stdout
  const process_ = execProcess(spec, {
    args: command,
    env: [...(own?.env ?? []), ...flags.all('env')],
    ...(cwd === undefined ? {} : { cwd }),
    user: userOf(flags.text('user'), flags.all('additional-gids'), own),
    ...(flags.has('tty') ? { terminal: { columns, rows } } : {}),
  })
  const [label, profile] = [flags.text('process-label'), flags.text('apparmor')]
  return {
    ...process_,
    ...(label === undefined ? {} : { selinuxLabel: label }),
    ...(profile === undefined ? {} : { apparmorProfile: profile }),
    ...(flags.has('no-new-privs') ? { noNewPrivileges: true } : {}),
    capabilities: withCapabilities(own?.capabilities, flags.all('cap'), own),
  }
}

/** Names would have to be looked up in the container's /etc/passwd (CVE-2026-30892): numbers only, as runc has it. */
function userOf(text: string | undefined, groups: readonly string[], own: OciProcess | undefined) {
  const user = { uid: 0, gid: 0, ...own?.user }
  if (text !== undefined) {
    const match = /^(\d+)(?::(\d+))?$/.exec(text)
    if (!match) throw usage(`--user ${text}: not <uid>[:<gid>] in numbers`)
    user.uid = Number(match[1])
    if (match[2] !== undefined) user.gid = Number(match[2])
  }
  for (const group of groups) if (!/^\d+$/.test(group)) throw usage(`--additional-gids ${group}: not a number`)
  return groups.length === 0
    ? user
    : { ...user, additionalGids: [...(user.additionalGids ?? []), ...groups.map(Number)] }
}

/** As runc: in the bounding, permitted and effective set, and in the ambient one where there is an inheritable one. */
function withCapabilities(
  own: OciCapabilities = {},
  more: readonly string[],
  process_: OciProcess | undefined,
): OciCapabilities {
  if (more.length === 0) return process_?.capabilities ?? own
  const add = (set: readonly string[] = []) => [...new Set([...set, ...more])]
  const ambient = own.inheritable?.length ? { ambient: add(own.ambient) } : {}
  return {
    ...own,
    bounding: add(own.bounding),
    effective: add(own.effective),
    permitted: add(own.permitted),
    ...ambient,
  }
}
