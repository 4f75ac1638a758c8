import { specInvalid, specUnsupported } from './errors.ts'
import { checkUserNamespace, withIdMappings } from './id-mappings.ts'
import { checkMemoryPolicy } from './memory-policy.ts'
import { hookNames } from './names.ts'
import { processShape, resourcesShape, specShape } from './schema.ts'
import { shaped } from './shape.ts'
import type { LinuxResources, OciProcess, OciSpec, OciUser } from './types.ts'

/** Looks at one thing in a config.json of which every field has its type, and throws if it makes no sense. */
type Check = (spec: OciSpec) => void

/**
 * config.json without the nulls that stand for absent fields. Throws the first SPEC_INVALID or SPEC_UNSUPPORTED, whatever
 * `value` is. Reads nothing but the value.
 */
export function validateSpec(value: unknown): OciSpec {
  const spec = asRuncReadsIt(shaped('', value, specShape) as OciSpec)
  for (const check of checks) check(spec)
  return spec
}

/** Engines are written in Go, where what is absent is 0 or '': so runc takes an id as 0, and the path '' of a namespace as none. */
function asRuncReadsIt(spec: OciSpec): OciSpec {
  const process = spec.process && withUser(spec.process)
  const user = process === spec.process || !process ? spec : { ...spec, process }
  const own = withIdMappings(withDevicesByName(user))
  if (!own.linux?.namespaces?.some(({ path }) => path === '')) return own
  const namespaces = own.linux.namespaces.map(({ type, path }) => (path ? { type, path } : { type }))
  return { ...own, linux: { ...own.linux, namespaces } }
}

/** A slash behind the name of a device is nothing, as with every path that runc cleans. */
function withDevicesByName(spec: OciSpec): OciSpec {
  const { devices } = spec.linux ?? {}
  if (!devices?.some(({ path }) => path.endsWith('/'))) return spec
  const named = devices.map((device) => ({ ...device, path: device.path.replace(/\/+$/, '') }))
  return { ...spec, linux: { ...spec.linux, devices: named } }
}

function withUser(process: OciProcess): OciProcess {
  const user: Partial<OciUser> | undefined = process.user
  if (!user || (user.uid !== undefined && user.gid !== undefined)) return process
  return { ...process, user: { uid: 0, gid: 0, ...user } }
}

/** The same for a process that is added to a container: what `coracle oci exec --process` reads. */
export function validateProcess(value: unknown): OciProcess {
  const made = withUser(shaped('process', value, processShape) as OciProcess)
  process({ process: made })
  processLimits({ process: made })
  deadline({ process: made })
  return made
}

/** The same for limits alone: what update takes. */
export function validateResources(value: unknown): LinuxResources {
  return shaped('linux.resources', value, resourcesShape) as LinuxResources
}

function version({ ociVersion }: OciSpec): void {
  if (!/^1\.\d+\.\d+/.test(ociVersion)) {
    throw specInvalid('ociVersion', `${JSON.stringify(ociVersion)} is not a 1.x version`)
  }
}

function process({ process }: Pick<OciSpec, 'process'>): void {
  if (!process?.args?.[0]) throw specInvalid('process.args', 'names no program')
  if (!process.cwd.startsWith('/')) throw specInvalid('process.cwd', 'is not an absolute path')
}

function processLimits({ process }: Pick<OciSpec, 'process'>): void {
  const seen = new Set<string>()
  for (const [at, limit] of (process?.rlimits ?? []).entries()) {
    const field = `process.rlimits[${at}]`
    if (seen.has(limit.type)) throw specInvalid(field, `${limit.type} is there twice`)
    const [soft, hard] = [limit.soft, limit.hard].map((value) => (value < 0 ? Number.POSITIVE_INFINITY : value))
    if ((soft ?? 0) > (hard ?? 0)) throw specInvalid(field, `${limit.type}: soft is above hard`)
    seen.add(limit.type)
  }
}

/** What the kernel would answer with nothing but EINVAL (sched(7), "SCHED_DEADLINE"). */
function deadline({ process }: Pick<OciSpec, 'process'>): void {
  const scheduler = process?.scheduler
  if (scheduler?.policy !== 'SCHED_DEADLINE') return
  const refused = (reason: string) => specInvalid('process.scheduler', `sched_setattr: \`SCHED_DEADLINE\` ${reason}`)
  const { runtime, deadline, period } = scheduler
  for (const [name, time] of Object.entries({ runtime, deadline })) {
    if (time === undefined) throw refused(`requires \`${name}\``)
    if (time === 0) throw refused(`${name} must be greater than 0`)
  }
  if (runtime === undefined || deadline === undefined) return
  if (runtime > deadline) throw refused(`runtime (${runtime}) must be <= deadline (${deadline})`)
  if (period && deadline > period) throw refused(`deadline (${deadline}) must be <= period (${period})`)
  for (const [name, time] of Object.entries({ runtime, deadline })) {
    if (time >= shortestRuntime && time < longestDeadline) continue
    throw refused(`${name} ${time} must be between ${shortestRuntime} and 2^63 - 1 nanoseconds`)
  }
}

/** The kernel's own unit of these times, and the bit that it needs for itself. */
const shortestRuntime = 1024
const longestDeadline = 2 ** 63

function namespaces({ linux }: OciSpec): void {
  const all = linux?.namespaces ?? []
  for (const [at, { type, path }] of all.entries()) {
    const field = `linux.namespaces[${at}]`
    if (all.findIndex((other) => other.type === type) !== at) throw specInvalid(field, `${type} is there twice`)
    if (path !== undefined && path !== '' && !path.startsWith('/')) {
      throw specInvalid(`${field}.path`, `${path} is not an absolute path`)
    }
  }
  if (linux?.timeOffsets && all.find(({ type }) => type === 'time')?.path !== undefined) {
    throw specInvalid('linux.timeOffsets', 'the offsets of a time namespace that is joined cannot be changed')
  }
}

/** What nobody can do in the host's mount namespace, or nobody should. */
function withoutMountNamespace({ linux, hooks }: OciSpec): void {
  const all = linux?.namespaces ?? []
  if (all.some(({ type }) => type === 'mount')) return
  const refused = (field: string, why: string) => specUnsupported(field, `without a mount namespace ${why}`)
  if (all.some(({ type }) => type === 'user'))
    throw refused('linux.namespaces', 'the root of a user namespace may not mount')
  if (linux?.rootfsPropagation) throw refused('linux.rootfsPropagation', 'it would be that of the host’s mounts')
  if (hooks?.startContainer?.length) throw refused('hooks.startContainer', 'a hook would run in the host’s root')
}

function namesNeedUts({ hostname, domainname, linux }: OciSpec): void {
  if (linux?.namespaces?.some(({ type }) => type === 'uts')) return
  const field = hostname ? 'hostname' : domainname ? 'domainname' : undefined
  if (field) throw specInvalid(field, 'needs a uts namespace of the container')
}

function mounts({ mounts = [] }: OciSpec): void {
  for (const [at, { destination }] of mounts.entries()) {
    const isRoot = destination.split('/').every((part) => part === '' || part === '.')
    if (isRoot) throw specInvalid(`mounts[${at}].destination`, 'is the root itself')
  }
}

function paths({ linux }: OciSpec): void {
  for (const field of ['maskedPaths', 'readonlyPaths'] as const) {
    for (const [at, path] of (linux?.[field] ?? []).entries()) {
      if (!path.startsWith('/')) throw specInvalid(`linux.${field}[${at}]`, `${path} is not an absolute path`)
    }
  }
  for (const [at, { path }] of (linux?.devices ?? []).entries()) {
    const name = path.slice(path.lastIndexOf('/') + 1)
    if (!path.startsWith('/') || name === '' || name === '.' || name === '..') {
      throw specInvalid(`linux.devices[${at}].path`, `${JSON.stringify(path)} is no absolute path of a device`)
    }
  }
}

const sysctlOfNetwork = /^net[./]/
const sysctlOfIpc = /^(kernel[./](msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs[./]mqueue[./].*)$/

function sysctls({ linux, domainname }: OciSpec): void {
  const has = (type: string) => linux?.namespaces?.some((namespace) => namespace.type === type) ?? false
  for (const [key, value] of Object.entries(linux?.sysctl ?? {})) {
    if (/(^|[./])\.\.([./]|$)/.test(key) || !/^[\w./-]+$/.test(key)) {
      throw specInvalid('linux.sysctl', `${JSON.stringify(key)} is not a name`)
    }
    const allowed =
      (sysctlOfNetwork.test(key) && has('network')) ||
      (sysctlOfIpc.test(key) && has('ipc')) ||
      (/^kernel[./]domainname$/.test(key) && has('uts'))
    if (!allowed) throw specInvalid('linux.sysctl', `${key} would change the host, not a namespace of the container`)
    if (domainname && value !== domainname && /^kernel[./]domainname$/.test(key))
      throw specInvalid(
        'linux.sysctl',
        `${key} is ${JSON.stringify(value)}, and domainname says ${JSON.stringify(domainname)}`,
      )
  }
}

function hooks({ hooks = {} }: OciSpec): void {
  for (const kind of hookNames) {
    for (const [at, { path }] of (hooks[kind] ?? []).entries()) {
      if (!path.startsWith('/')) throw specInvalid(`hooks.${kind}[${at}].path`, `${path} is not an absolute path`)
    }
  }
}

/** What the spec has and Coracle has not: refused by name. */
function notYet({ linux }: OciSpec): void {
  const asked: [string, unknown][] = [
    ['linux.intelRdt', linux?.intelRdt],
    ['linux.netDevices', Object.keys(linux?.netDevices ?? {}).length],
    ['linux.personality.flags', linux?.personality?.flags?.length],
  ]
  const found = asked.find(([, value]) => value)
  if (found) throw specUnsupported(found[0])
}

function annotationKeys({ annotations }: OciSpec): void {
  if (annotations && Object.hasOwn(annotations, '')) throw specInvalid('annotations', 'a key is the empty string')
}

const checks: readonly Check[] = [
  annotationKeys,
  version,
  process,
  processLimits,
  deadline,
  namespaces,
  withoutMountNamespace,
  namesNeedUts,
  mounts,
  paths,
  sysctls,
  hooks,
  checkUserNamespace,
  checkMemoryPolicy,
  notYet,
]
