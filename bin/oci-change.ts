import { runAll } from '../runtime/base/errors.ts'
import { exclusively } from '../runtime/container/lock.ts'
import { parseSpec } from '../runtime/spec/exact-json.ts'
import type { LinuxResources } from '../runtime/spec/types.ts'
import { type Call, idOf, inputOf, placeOf, usage, type Verb, warningAloud } from './oci-act.ts'
import type { Flags } from './oci-flags.ts'

/** What changes or ends a container that is there. */
export const verbs: Readonly<Record<string, Verb>> = {
  kill: {
    args: '<id> [signal]',
    does: 'send a signal, SIGTERM unless given, to the first process',
    flags: ['-a, --all  to every process of the container'],
    takes: [1, 2],
    async act(call) {
      const { kill } = await import('../runtime/container/kill.ts')
      await kill(await placeOf(call), idOf(call), { signal: call.args[1] ?? 'SIGTERM', all: call.flags.has('all') })
    },
  },
  delete: {
    args: '<id>',
    does: 'remove a stopped container and all traces of it',
    flags: [
      '-f, --force  kill it first; that there is none is fine',
      '--regex  id is a regular expression: every container whose id matches',
    ],
    takes: [1, 1],
    async act(call) {
      const { deleteContainer } = await import('../runtime/container/delete.ts')
      const place = warningAloud(await placeOf(call), call)
      const force = call.flags.has('force')
      const ids = call.flags.has('regex') ? await idsMatching(call) : [idOf(call)]
      await runAll(
        'delete',
        ids.map((id) => () => exclusively(call.root, id, () => deleteContainer(place, id, { force }))),
      )
    },
  },
  pause: {
    args: '<id>',
    does: 'freeze all processes',
    flags: [],
    takes: [1, 1],
    act: (call) => freezing(call, 'pause'),
  },
  resume: {
    args: '<id>',
    does: 'let frozen processes go on',
    flags: [],
    takes: [1, 1],
    act: (call) => freezing(call, 'resume'),
  },
  update: {
    args: '<id>',
    does: 'change the limits of a living container',
    flags: [
      '-r, --resources <file>  linux.resources as JSON, instead of all other flags; - is standard input',
      '--blkio-weight <weight>  10 to 1000',
      '--cpu-period <microseconds>  length of a period',
      '--cpu-quota <microseconds>  processor time in a period',
      '--cpu-burst <microseconds>  what may be saved up for later periods',
      '--cpu-share <shares>  weight against others',
      '--cpu-idle <bool>  1: only when nobody else wants to run',
      '--cpu-rt-period <microseconds>  realtime period',
      '--cpu-rt-runtime <microseconds>  realtime in a period',
      '--cpuset-cpus <list>  processors',
      '--cpuset-mems <list>  memory nodes',
      '--memory <bytes>  limit, such as 64m; -1 is none',
      '--memory-reservation <bytes>  soft limit',
      '--memory-swap <bytes>  memory and swap together; -1 is no limit',
      '--kernel-memory <bytes>  a warning: kernels have it no more',
      '--kernel-memory-tcp <bytes>  limit of TCP buffers (cgroup v1)',
      '--pids-limit <count>  processes; -1 is no limit',
      '--l3-cache-schema <text>  refused: Intel RDT is not supported',
      '--mem-bw-schema <text>  refused: Intel RDT is not supported',
    ],
    takes: [1, 1],
    act: updating,
  },
}

async function idsMatching({ root, args }: Call): Promise<string[]> {
  const { listStates } = await import('../runtime/container/state.ts')
  try {
    const pattern = new RegExp(args[0] ?? '')
    return listStates(root).flatMap(({ id }) => (pattern.test(id) ? [id] : []))
  } catch (error) {
    throw error instanceof SyntaxError ? usage(`--regex ${args[0]}: ${error.message}`) : error
  }
}

async function freezing(call: Call, verb: 'pause' | 'resume'): Promise<void> {
  const freezer = await import('../runtime/container/pause.ts')
  await exclusively(call.root, idOf(call), () => freezer[verb](call.root, idOf(call)))
}

async function updating(call: Call): Promise<void> {
  const { flags, root, warn } = call
  const file = flags.text('resources')
  const wanted = file === undefined ? fromFlags(flags) : (parseSpec(inputOf(file)) as LinuxResources)
  const { update } = await import('../runtime/container/update.ts')
  for (const warning of await exclusively(root, idOf(call), async () => update(root, idOf(call), wanted))) warn(warning)
}

function fromFlags(flags: Flags): LinuxResources {
  for (const name of ['l3-cache-schema', 'mem-bw-schema']) {
    if (flags.has(name)) throw usage(`update --${name}: Intel RDT is not supported`)
  }
  const fields = (kind: 'number' | 'bytes', table: Readonly<Record<string, string>>) => {
    const given = Object.entries(table).map(([flag, field]) => [field, flags[kind](flag)] as const)
    return Object.fromEntries(given.filter(([, value]) => value !== undefined))
  }
  const memory = fields('bytes', {
    memory: 'limit',
    'memory-swap': 'swap',
    'memory-reservation': 'reservation',
    'kernel-memory': 'kernel',
    'kernel-memory-tcp': 'kernelTCP',
  })
  const [cpus, mems] = [flags.text('cpuset-cpus'), flags.text('cpuset-mems')]
  const cpu = {
    ...fields('number', {
      'cpu-share': 'shares',
      'cpu-quota': 'quota',
      'cpu-period': 'period',
      'cpu-burst': 'burst',
      'cpu-idle': 'idle',
      'cpu-rt-runtime': 'realtimeRuntime',
      'cpu-rt-period': 'realtimePeriod',
    }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(mems === undefined ? {} : { mems }),
  }
  const [limit, weight] = [flags.number('pids-limit'), flags.number('blkio-weight')]
  return {
    memory,
    cpu,
    ...(limit === undefined ? {} : { pids: { limit } }),
    ...(weight === undefined ? {} : { blockIO: { weight } }),
  }
}
