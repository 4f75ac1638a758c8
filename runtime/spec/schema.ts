import {
  hookNames,
  ioPriorityClasses,
  namespaceTypes,
  personalityDomains,
  rlimitNames,
  schedulerFlags,
  schedulerPolicies,
} from './names.ts'
import { anything, flag, integer, list, map, object, type Shape, text, word } from './shape.ts'

/** config.json of the runtime-spec 1.3.0 for Linux, field by field: the types of types.ts, and how much of each may be there. */

/** MAX_ARG_STRLEN: a longer argument or variable execve(2) does not take. */
const argument = text(131_072)
const path = text()
const id = integer(0, 0xfffffffe)
const unsigned32 = integer(0, 0xffffffff)
const amount = integer(0, 2 ** 64)
/** -1 is no limit. */
const limit = integer(-1, 2 ** 63)
/** Numbers that a user may give with a sign; the kernel has the last word. */
const signed = integer(-(2 ** 63), 2 ** 63)
const deviceNumber = integer(-1, 2 ** 32)

const mappings = list(object({ 'containerID!': unsigned32, 'hostID!': unsigned32, 'size!': unsigned32 }), 1000)
const capabilities = list(text(64), 200)

/** `process`; also what exec takes. */
export const processShape: Shape = object({
  terminal: flag,
  consoleSize: object({ 'height!': integer(0, 65_535), 'width!': integer(0, 65_535) }),
  'cwd!': path,
  env: list(argument, 100_000),
  'args!': list(argument, 100_000),
  user: object({
    uid: id,
    gid: id,
    umask: integer(0, 0o777),
    additionalGids: list(id, 65_536),
    username: text(),
  }),
  capabilities: object({
    bounding: capabilities,
    effective: capabilities,
    inheritable: capabilities,
    permitted: capabilities,
    ambient: capabilities,
  }),
  noNewPrivileges: flag,
  oomScoreAdj: integer(-1000, 1000),
  rlimits: list(
    object({ 'type!': word(...rlimitNames), 'soft!': integer(-1, 2 ** 64), 'hard!': integer(-1, 2 ** 64) }),
    16,
  ),
  apparmorProfile: text(),
  selinuxLabel: text(),
  ioPriority: object({ 'class!': word(...ioPriorityClasses), priority: integer(0, 7) }),
  scheduler: object({
    'policy!': word(...schedulerPolicies),
    nice: integer(-20, 19),
    priority: integer(0, 99),
    flags: list(word(...Object.keys(schedulerFlags)), 7),
    runtime: amount,
    deadline: amount,
    period: amount,
  }),
  execCPUAffinity: object({ initial: text(), final: text() }),
})

const mount = object({
  'destination!': text(4096, 1),
  type: text(256),
  source: text(),
  options: list(text(), 200),
  uidMappings: mappings,
  gidMappings: mappings,
})

const hook = object({
  'path!': text(4096, 1),
  args: list(argument, 10_000),
  env: list(argument, 10_000),
  timeout: integer(1, 2 ** 31),
})

const device = object({
  'type!': word('c', 'u', 'b', 'p'),
  'path!': text(4096, 1),
  major: deviceNumber,
  minor: deviceNumber,
  fileMode: unsigned32,
  uid: unsigned32,
  gid: unsigned32,
})

const weightDevice = object({ 'major!': deviceNumber, 'minor!': deviceNumber, weight: amount, leafWeight: amount })
const throttle = list(object({ 'major!': deviceNumber, 'minor!': deviceNumber, 'rate!': amount }))

/** `linux.resources`; also what update takes. */
export const resourcesShape: Shape = object({
  memory: object({
    limit,
    reservation: limit,
    swap: limit,
    kernel: limit,
    kernelTCP: limit,
    swappiness: amount,
    disableOOMKiller: flag,
    useHierarchy: flag,
    checkBeforeUpdate: flag,
  }),
  cpu: object({
    shares: amount,
    quota: signed,
    period: amount,
    burst: amount,
    idle: signed,
    cpus: text(),
    mems: text(),
    realtimeRuntime: signed,
    realtimePeriod: amount,
  }),
  pids: object({ limit: signed }),
  devices: list(
    object({ 'allow!': flag, type: text(8), major: deviceNumber, minor: deviceNumber, access: text(8) }),
    10_000,
  ),
  blockIO: object({
    weight: amount,
    leafWeight: amount,
    weightDevice: list(weightDevice),
    throttleReadBpsDevice: throttle,
    throttleWriteBpsDevice: throttle,
    throttleReadIOPSDevice: throttle,
    throttleWriteIOPSDevice: throttle,
  }),
  hugepageLimits: list(object({ 'pageSize!': text(64, 1), 'limit!': amount }), 100),
  network: object({ classID: unsigned32, priorities: list(object({ 'name!': text(64), 'priority!': unsigned32 })) }),
  rdma: map(object({ hcaHandles: unsigned32, hcaObjects: unsigned32 })),
  unified: map(text()),
})

const seccomp = object({
  'defaultAction!': text(64),
  defaultErrnoRet: unsigned32,
  architectures: list(text(64), 100),
  flags: list(text(64), 100),
  listenerPath: path,
  listenerMetadata: text(65_536),
  syscalls: list(
    object({
      'names!': list(text(128), 10_000),
      'action!': text(64),
      errnoRet: unsigned32,
      args: list(object({ 'index!': integer(0, 5), 'value!': amount, valueTwo: amount, 'op!': text(64) }), 1000),
    }),
    10_000,
  ),
})

const linux = object({
  namespaces: list(object({ 'type!': word(...namespaceTypes), path }), 8),
  uidMappings: mappings,
  gidMappings: mappings,
  devices: list(device, 10_000),
  cgroupsPath: text(),
  resources: resourcesShape,
  rootfsPropagation: word('', ...['shared', 'slave', 'private', 'unbindable'].flatMap((name) => [name, `r${name}`])),
  seccomp,
  sysctl: map(text()),
  maskedPaths: list(path, 10_000),
  readonlyPaths: list(path, 10_000),
  mountLabel: text(),
  intelRdt: anything,
  memoryPolicy: object({ mode: text(64), nodes: text(), flags: list(text(64), 16) }),
  netDevices: map(anything),
  personality: object({ 'domain!': word(...Object.keys(personalityDomains)), flags: list(text(64), 64) }),
  timeOffsets: map(object({ secs: signed, nanosecs: integer(0, 999_999_999) }), ['monotonic', 'boottime']),
})

export const specShape: Shape = object({
  'ociVersion!': text(64),
  'process!': processShape,
  'root!': object({ 'path!': text(4096, 1), readonly: flag }),
  // HOST_NAME_MAX; longer ones sethostname(2) does not take.
  hostname: text(64),
  domainname: text(64),
  mounts: list(mount, 10_000),
  hooks: object(Object.fromEntries(hookNames.map((name) => [name, list(hook, 1000)]))),
  annotations: map(text(1_048_576)),
  linux,
})
