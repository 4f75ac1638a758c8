import { resolve } from 'node:path'
import { type Call, lineOf, openLog, print, report, usage, type Verb } from './oci-act.ts'
import { type FlagLines, Flags, type Parsed, parseFlags } from './oci-flags.ts'

/*
 * `coracle oci`, and the program `coracle-oci`: the command line of runc for our own runtime, without a resident process.
 * Each verb is loaded alone, and no library parses the command line: an engine starts us many times for each container.
 * NOT IMPLEMENTED, and refused in a sentence: checkpoint restore, --systemd-cgroup, --rootless.
 */
const files: Readonly<Record<string, () => Promise<{ verbs: Readonly<Record<string, Verb>> }>>> = {
  'create run start': () => import('./oci-birth.ts'),
  exec: () => import('./oci-exec.ts'),
  'kill delete pause resume update': () => import('./oci-change.ts'),
  'state list': () => import('./oci-look.ts'),
  ps: () => import('./oci-ps.ts'),
  'features spec explain doctor checkpoint restore': () => import('./oci-describe.ts'),
  events: () => import('./oci-events.ts'),
  mounts: () => import('./oci-mounts.ts'),
}

export const globalFlags: FlagLines = [
  '--root <path>  folder of the containers’ state (default: /run/coracle-oci)',
  '--log <file>  where errors and warnings are written as well',
  '--log-format <format>  text or json (default: text)',
  '--debug  say more when something fails',
  '--cgroup-manager <name>  cgroupfs, the only one there is',
  '--systemd-cgroup  refused: groups are made by cgroupfs',
  '--rootless <bool>  false and auto; true is refused',
  '-h, --help  show this, or what a verb takes',
  '-v, --version  print the version',
]

/** Runs one command line, without the program's name; the answer is the exit code. Errors are reported, not thrown. */
export async function runOci(words: readonly string[], version: () => string): Promise<number> {
  let global = new Flags()
  let failsWith = 1
  try {
    const parsed = parseFlags(words, globalFlags, 1)
    global = parsed.flags
    return await perform(parsed, version, (code) => {
      failsWith = code
    })
  } catch (error) {
    report('error', lineOf(error), global)
    if (global.has('debug') && error instanceof Error) console.error(error.stack)
    return failsWith
  }
}

async function perform(
  { flags: global, args }: Parsed,
  version: () => string,
  onVerb: (failsWith: number) => void,
): Promise<number> {
  if (global.has('version')) {
    print(`coracle-oci version ${version()}\nspec: 1.3.0`)
    return 0
  }
  const [name, ...rest] = args
  if (name === undefined || name === 'help' || global.has('help')) return help(rest[0])
  checkGlobal(global)
  openLog(global)
  const verb = await verbOf(name)
  if (!verb) throw usage(`no such command: ${name} (coracle oci help lists them)`)
  const { flags, args: given } = parseFlags(rest, ['-h, --help  show this', ...verb.flags], verb.flagsEnd)
  if (flags.has('help')) return help(name)
  const [least, most] = verb.takes
  if (given.length < least || given.length > most) {
    const wanted = least === most ? `exactly ${least}` : `${least} to ${most}`
    throw usage(`${name} requires ${most === Number.POSITIVE_INFINITY ? `a minimum of ${least}` : wanted} argument(s)`)
  }
  const call: Call = {
    root: resolve(global.text('root') ?? '/run/coracle-oci'),
    args: given,
    flags,
    global,
    warn: (message) => report('warning', message, global),
  }
  onVerb(verb.failsWith ?? 1)
  return (await verb.act(call)) ?? 0
}

function checkGlobal(global: Flags): void {
  const refused = 'only cgroupfs is there: give the engine its cgroupfs manager'
  if (global.has('systemd-cgroup'))
    throw usage(`--systemd-cgroup: the systemd cgroup manager is not supported; ${refused}`)
  const manager = global.text('cgroup-manager') ?? 'cgroupfs'
  if (manager !== 'cgroupfs') throw usage(`--cgroup-manager ${manager} is not supported; ${refused}`)
  const rootless = global.text('rootless') ?? 'auto'
  if (!['auto', 'false'].includes(rootless))
    throw usage(`--rootless ${rootless}: rootless containers are not supported`)
  const format = global.text('log-format') ?? 'text'
  if (format !== 'text' && format !== 'json') throw usage(`unknown log-format ${JSON.stringify(format)}`)
}

async function verbOf(name: string): Promise<Verb | undefined> {
  const key = Object.keys(files).find((names) => names.split(' ').includes(name))
  return key === undefined ? undefined : (await files[key]?.())?.verbs[name]
}

async function help(of: string | undefined): Promise<number> {
  const verb = of === undefined ? undefined : await verbOf(of)
  if (of !== undefined && !verb) throw usage(`no such command: ${of}`)
  if (verb)
    print([`usage: coracle oci ${of} [flags] ${verb.args}`, '', verb.does, '', ...verb.flags.map(indented)].join('\n'))
  else {
    const loaded = await Promise.all(Object.values(files).map((load) => load()))
    const all = loaded.flatMap(({ verbs }) => Object.entries(verbs))
    const rows = all.map(([name, { args, does }]) => `${`${name} ${args}`.padEnd(36)}  ${does}`)
    print(
      [
        'usage: coracle oci [global flags] VERB [flags] ...',
        '',
        ...rows.map(indented),
        '',
        ...globalFlags.map(indented),
      ].join('\n'),
    )
  }
  return 0
}

const indented = (line: string) => `  ${line}`
