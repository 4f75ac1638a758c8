import type { CoracleError } from '../base/errors.ts'
import { specInvalid, specUnsupported } from './errors.ts'
import { checkUserNamespace } from './id-mappings.ts'
import type { OciSpec } from './types.ts'

/** Looks at one thing and says what is wrong with it. */
type Check = (spec: OciSpec) => CoracleError | undefined

/** The place in this list is the kernel's number (setrlimit(2)). */
export const rlimitNames =
  'CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING MSGQUEUE NICE RTPRIO RTTIME'
    .split(' ')
    .map((name) => `RLIMIT_${name}`)

const namespaceTypes = ['pid', 'network', 'mount', 'ipc', 'uts', 'user', 'cgroup', 'time']

/** Throws the first SPEC_INVALID or SPEC_UNSUPPORTED of a parsed config.json. Reads nothing but the spec. */
export function validateSpec(spec: OciSpec): void {
  for (const check of checks) {
    const error = check(spec)
    if (error) throw error
  }
}

function version({ ociVersion }: OciSpec) {
  if (typeof ociVersion !== 'string' || !/^1\.\d+\.\d+/.test(ociVersion)) {
    return specInvalid('ociVersion', `${JSON.stringify(ociVersion)} is not a 1.x version`)
  }
  return undefined
}

function root({ root }: OciSpec) {
  return typeof root?.path === 'string' && root.path !== '' ? undefined : specInvalid('root.path', 'is missing')
}

function processPresent({ process }: OciSpec) {
  if (!process) return specInvalid('process', 'is missing')
  if (!Array.isArray(process.args) || process.args.length === 0 || process.args[0] === '') {
    return specInvalid('process.args', 'names no program')
  }
  if (typeof process.cwd !== 'string' || !process.cwd.startsWith('/')) {
    return specInvalid('process.cwd', 'is not an absolute path')
  }
  return undefined
}

function processStrings({ process }: OciSpec) {
  const bad = [...(process?.args ?? []), ...(process?.env ?? []), process?.cwd ?? ''].find(
    (text) => typeof text !== 'string' || text.includes('\0'),
  )
  return bad === undefined ? undefined : specInvalid('process', `${JSON.stringify(bad)} is no C string`)
}

function user({ process }: OciSpec) {
  const ids = [process?.user?.uid ?? 0, process?.user?.gid ?? 0, ...(process?.user?.additionalGids ?? [])]
  const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id > 0xfffffffe)
  return bad === undefined ? undefined : specInvalid('process.user', `${bad} is not an id`)
}

function processLimits({ process }: OciSpec) {
  const seen = new Set<string>()
  for (const limit of process?.rlimits ?? []) {
    if (!rlimitNames.includes(limit.type)) return specInvalid('process.rlimits', `${limit.type} is not a limit`)
    if (seen.has(limit.type)) return specInvalid('process.rlimits', `${limit.type} is there twice`)
    if (limit.soft > limit.hard) return specInvalid('process.rlimits', `${limit.type}: soft is above hard`)
    seen.add(limit.type)
  }
  return undefined
}

function oomScore({ process }: OciSpec) {
  const score = process?.oomScoreAdj ?? 0
  return Number.isInteger(score) && Math.abs(score) <= 1000
    ? undefined
    : specInvalid('process.oomScoreAdj', `${score} is not within -1000 and 1000`)
}

function namespaces({ linux }: OciSpec) {
  const types = (linux?.namespaces ?? []).map((namespace) => namespace.type)
  const unknown = types.find((type) => !namespaceTypes.includes(type))
  if (unknown !== undefined) return specInvalid('linux.namespaces', `${unknown} is not a namespace`)
  const twice = types.find((type, at) => types.indexOf(type) !== at)
  if (twice) return specInvalid('linux.namespaces', `${twice} is there twice`)
  const relative = linux?.namespaces?.find(({ path }) => path !== undefined && !path.startsWith('/'))
  if (relative) return specInvalid('linux.namespaces', `${relative.path} is not an absolute path`)
  if (!types.includes('mount')) return specUnsupported('linux.namespaces', 'a container without a mount namespace')
  const mount = linux?.namespaces?.find(({ type }) => type === 'mount')
  return mount?.path ? specUnsupported('linux.namespaces', 'joining a mount namespace by path') : undefined
}

function hostnameNeedsUts({ hostname, domainname, linux }: OciSpec) {
  if (!hostname && !domainname) return undefined
  const own = linux?.namespaces?.some(({ type }) => type === 'uts')
  return own ? undefined : specInvalid('hostname', 'needs a uts namespace of the container')
}

function mounts({ mounts = [] }: OciSpec) {
  const bad = mounts.find(({ destination }) => typeof destination !== 'string' || destination === '')
  if (bad) return specInvalid('mounts', 'a mount without a destination')
  const at = mounts.findIndex(({ uidMappings, gidMappings }) => uidMappings?.length || gidMappings?.length)
  return at < 0 ? undefined : specUnsupported(`mounts[${at}].uidMappings`)
}

function userNamespace(spec: OciSpec) {
  checkUserNamespace(spec)
  return undefined
}

const sysctlOfNetwork = /^net[./]/
const sysctlOfIpc = /^(kernel[./](msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs[./]mqueue[./].*)$/

function sysctls({ linux }: OciSpec) {
  const has = (type: string) => linux?.namespaces?.some((namespace) => namespace.type === type) ?? false
  for (const key of Object.keys(linux?.sysctl ?? {})) {
    if (/(^|[./])\.\.([./]|$)/.test(key) || !/^[\w./-]+$/.test(key)) {
      return specInvalid('linux.sysctl', `${JSON.stringify(key)} is not a name`)
    }
    const allowed = sysctlOfNetwork.test(key) ? has('network') : sysctlOfIpc.test(key) && has('ipc')
    if (!allowed) return specInvalid('linux.sysctl', `${key} would change the host, not a namespace of the container`)
  }
  return undefined
}

/** What the spec has and Coracle has not: refused by name. */
const hookNames = ['prestart', 'createRuntime', 'createContainer', 'startContainer', 'poststart', 'poststop'] as const

function hooks({ hooks = {} }: OciSpec) {
  for (const kind of hookNames) {
    for (const [at, { path, timeout }] of (hooks[kind] ?? []).entries()) {
      const field = `hooks.${kind}[${at}]`
      if (typeof path !== 'string' || !path.startsWith('/')) {
        return specInvalid(`${field}.path`, `${JSON.stringify(path)} is not an absolute path`)
      }
      if (timeout !== undefined && !(Number.isInteger(timeout) && timeout > 0)) {
        return specInvalid(`${field}.timeout`, `${JSON.stringify(timeout)} is not a number of seconds above 0`)
      }
    }
  }
  return undefined
}

function notYet({ process, linux }: OciSpec) {
  const asked: [string, unknown][] = [
    ['linux.intelRdt', linux?.intelRdt],
    ['linux.memoryPolicy', linux?.memoryPolicy],
    ['linux.netDevices', Object.keys(linux?.netDevices ?? {}).length],
    ['linux.personality', linux?.personality],
    ['linux.mountLabel', linux?.mountLabel],
    ['process.apparmorProfile', process?.apparmorProfile],
    ['process.selinuxLabel', process?.selinuxLabel],
    ['process.ioPriority', process?.ioPriority],
    ['process.scheduler', process?.scheduler],
    ['process.execCPUAffinity', process?.execCPUAffinity],
  ]
  const found = asked.find(([, value]) => value)
  return found ? specUnsupported(found[0]) : undefined
}

const checks: readonly Check[] = [
  version,
  root,
  processPresent,
  processStrings,
  user,
  processLimits,
  oomScore,
  namespaces,
  hostnameNeedsUts,
  mounts,
  sysctls,
  hooks,
  userNamespace,
  notYet,
]
