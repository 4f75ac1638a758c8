import { readdirSync } from 'node:fs'
import { readNumber, readValue } from './files.ts'
import { type CgroupLayout, findLayout } from './layout.ts'

/** Numbers of a group in the shape of runc's `events --stats` (its types/events.go): what engines and exporters parse. */
export type EventStats = Readonly<Record<string, unknown>>

type Numbers = Readonly<Record<string, number>>

/** What the group `path` has used, by the files of whichever version this host has. What the kernel does not keep is left out. */
export function eventStats(path: string, layout: CgroupLayout = findLayout()): EventStats {
  return layout.version === 2 ? ofV2(`${layout.mount}/${path}`) : ofV1(layout.mounts, path)
}

function ofV1(mounts: ReadonlyMap<string, string>, path: string): EventStats {
  const file = (controller: string, name: string) => `${mounts.get(controller) ?? '/nowhere'}/${path}/${name}`
  const memory = (kind: string) => ({
    limit: readNumber(file('memory', `memory.${kind}limit_in_bytes`)) ?? 0,
    ...some({
      usage: readNumber(file('memory', `memory.${kind}usage_in_bytes`)),
      max: readNumber(file('memory', `memory.${kind}max_usage_in_bytes`)),
    }),
    failcnt: readNumber(file('memory', `memory.${kind}failcnt`)) ?? 0,
  })
  const raw = table(file('memory', 'memory.stat'))
  const throttled = table(file('cpu', 'cpu.stat'))
  const perCpu = (readValue(file('cpuacct', 'cpuacct.usage_percpu')) ?? '').split(/\s+/).filter(Boolean).map(Number)
  return {
    cpu: {
      usage: {
        ...some({ total: readNumber(file('cpuacct', 'cpuacct.usage')) }),
        ...(perCpu.length > 0 ? { percpu: perCpu } : {}),
        kernel: readNumber(file('cpuacct', 'cpuacct.usage_sys')) ?? 0,
        user: readNumber(file('cpuacct', 'cpuacct.usage_user')) ?? 0,
      },
      throttling: throttling(throttled, throttled.throttled_time ?? 0),
    },
    memory: {
      ...some({ cache: raw.cache }),
      usage: memory(''),
      swap: memory('memsw.'),
      kernel: memory('kmem.'),
      kernelTCP: memory('kmem.tcp.'),
      raw,
    },
    pids: pids(file('pids', 'pids.current'), file('pids', 'pids.max')),
    blkio: {
      ...some({
        ioServiceBytesRecursive: blkio(file('blkio', 'blkio.throttle.io_service_bytes_recursive')),
        ioServicedRecursive: blkio(file('blkio', 'blkio.throttle.io_serviced_recursive')),
      }),
    },
    ...rest(`${mounts.get('hugetlb') ?? mounts.get('unified') ?? '/nowhere'}/${path}`),
  }
}

function ofV2(folder: string): EventStats {
  const cpu = table(`${folder}/cpu.stat`)
  const raw = table(`${folder}/memory.stat`)
  const events = table(`${folder}/memory.events`)
  const usage = readNumber(`${folder}/memory.current`) ?? 0
  const unlimited = 2n ** 64n - 1n
  const limit = readNumber(`${folder}/memory.max`) ?? unlimited
  const swapLimit = readNumber(`${folder}/memory.swap.max`)
  return {
    cpu: {
      usage: {
        total: (cpu.usage_usec ?? 0) * 1000,
        kernel: (cpu.system_usec ?? 0) * 1000,
        user: (cpu.user_usec ?? 0) * 1000,
      },
      throttling: throttling(cpu, (cpu.throttled_usec ?? 0) * 1000),
      ...pressure('cpu', folder),
    },
    memory: {
      ...some({ cache: raw.file }),
      usage: { limit, usage, ...some({ max: readNumber(`${folder}/memory.peak`) }), failcnt: events.max ?? 0 },
      // As on v1, memory and swap together.
      swap: {
        limit: swapLimit === undefined || typeof limit === 'bigint' ? unlimited : limit + swapLimit,
        usage: usage + (readNumber(`${folder}/memory.swap.current`) ?? 0),
        failcnt: table(`${folder}/memory.swap.events`).max ?? 0,
      },
      kernel: { limit: 0, usage: raw.kernel ?? 0, failcnt: 0 },
      kernelTCP: { limit: 0, usage: raw.sock ?? 0, failcnt: 0 },
      raw,
      ...pressure('memory', folder),
    },
    pids: pids(`${folder}/pids.current`, `${folder}/pids.max`),
    blkio: {
      ...some({
        ioServiceBytesRecursive: io(`${folder}/io.stat`, { rbytes: 'Read', wbytes: 'Write', dbytes: 'Discard' }),
        ioServicedRecursive: io(`${folder}/io.stat`, { rios: 'Read', wios: 'Write', dios: 'Discard' }),
      }),
      ...pressure('io', folder),
    },
    ...rest(folder),
  }
}

const pids = (current: string, max: string) => ({
  current: readNumber(current) ?? 0,
  ...some({ limit: readNumber(max) }),
})

function throttling({ nr_periods, nr_throttled }: Numbers, throttledTime: number) {
  // Go's `omitempty`: what has not happened is not there.
  return some({
    periods: nr_periods || undefined,
    throttledPeriods: nr_throttled || undefined,
    throttledTime: throttledTime || undefined,
  })
}

function rest(folder: string) {
  return { hugetlb: hugepages(folder), intel_rdt: {}, network_interfaces: null }
}

/** `hugetlb.2MB.usage_in_bytes` of v1, `hugetlb.2MB.current` of v2. */
function hugepages(folder: string): Record<string, unknown> {
  const sizes = new Set<string>()
  try {
    for (const name of readdirSync(folder)) {
      const size = /^hugetlb\.(\d+[KMG]B)\./.exec(name)?.[1]
      if (size) sizes.add(size)
    }
  } catch {
    // No such group there: no pages of this kind are limited.
  }
  const of = (size: string) => `${folder}/hugetlb.${size}`
  const rows = [...sizes].map((size) => {
    const usage = readNumber(`${of(size)}.current`) ?? readNumber(`${of(size)}.usage_in_bytes`)
    const failcnt = table(`${of(size)}.events`).max ?? readNumber(`${of(size)}.failcnt`) ?? 0
    return [
      size,
      {
        ...some({ usage: usage || undefined, max: readNumber(`${of(size)}.max_usage_in_bytes`) || undefined }),
        failcnt,
      },
    ] as const
  })
  return Object.fromEntries(rows)
}

/** Pressure stall information (PSI), where the kernel measures it by group. */
function pressure(resource: string, folder: string): { psi?: Record<string, Numbers> } {
  const text = readValue(`${folder}/${resource}.pressure`)
  if (!text) return {}
  const rows = text.split('\n').map((line) => {
    const [kind = '', ...pairs] = line.split(' ')
    return [
      kind,
      Object.fromEntries(pairs.map((pair) => [pair.split('=')[0] ?? '', Number(pair.split('=')[1])])),
    ] as const
  })
  return { psi: Object.fromEntries(rows) }
}

interface BlockRow {
  major: number
  minor: number
  op: string
  value: number
}

/** Rows `8:0 Read 4096` of v1. */
function blkio(file: string): BlockRow[] | undefined {
  const rows = (readValue(file) ?? '').split('\n').flatMap((line) => {
    const match = /^(\d+):(\d+) (\w+) (\d+)$/.exec(line)
    return match
      ? [{ major: Number(match[1]), minor: Number(match[2]), op: match[3] ?? '', value: Number(match[4]) }]
      : []
  })
  return rows.length > 0 ? rows : undefined
}

/** Rows `8:0 rbytes=4096 wbytes=0 …` of v2. */
function io(file: string, names: Readonly<Record<string, string>>): BlockRow[] | undefined {
  const rows = (readValue(file) ?? '').split('\n').flatMap((line) => {
    const [device = '', ...pairs] = line.split(' ')
    const [major = 0, minor = 0] = device.split(':').map(Number)
    return pairs.flatMap((pair) => {
      const [key = '', value] = pair.split('=')
      const op = names[key]
      return op === undefined ? [] : [{ major, minor, op, value: Number(value) }]
    })
  })
  return rows.length > 0 ? rows : undefined
}

/** A file of `key value` lines. */
function table(file: string): Record<string, number> {
  const lines = (readValue(file) ?? '').split('\n').filter(Boolean)
  return Object.fromEntries(lines.map((line) => [line.split(' ')[0] ?? '', Number(line.split(' ')[1])]))
}

/** Without what is undefined. */
function some<Value>(fields: Readonly<Record<string, Value | undefined>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Record<string, Value>
}
