import { describe, expect, it } from 'vitest'
import { containerSpec, ociResources, type SpecInput } from './spec.ts'
import type { ContainerConfig, SecurityContext } from './types.ts'

const security: SecurityContext = {
  runAsNonRoot: false,
  supplementalGroups: [],
  privileged: false,
  readOnlyRootFilesystem: false,
  allowPrivilegeEscalation: true,
  addCapabilities: [],
  dropCapabilities: [],
  seccomp: 'RuntimeDefault',
  maskProc: true,
}
const aConfig = (change: Partial<ContainerConfig> = {}): ContainerConfig => ({
  name: 'web',
  attempt: 0,
  hash: '',
  image: 'image',
  command: [],
  args: [],
  env: [],
  mounts: [],
  tty: false,
  stdin: false,
  stdinOnce: false,
  logPath: '',
  fallbackToLogs: false,
  terminationLogPath: '',
  resources: {},
  security,
  sharedPidNamespace: false,
  ...change,
})
const spec = (config: Partial<ContainerConfig> = {}, change: Partial<SpecInput> = {}) =>
  containerSpec({
    id: 'id',
    config: aConfig(config),
    image: { Entrypoint: ['/entry'], Cmd: ['default'], Env: ['PATH=/bin', 'A=image'], WorkingDir: '/srv' },
    user: { uid: 0, gid: 0, additionalGids: [], home: '/root' },
    sandbox: { pid: 42, cgroupPath: 'coracle/n/pod1', hostPid: false, hostNetwork: false, hostIpc: false },
    annotations: {},
    ...change,
  })
const args = (config: Partial<ContainerConfig>) => spec(config).process?.args
const secured = (change: Partial<SecurityContext>) => spec({ security: { ...security, ...change } })

describe('containerSpec', () => {
  it('command line: as Kubernetes documents the four cases', () => {
    expect(args({})).toEqual(['/entry', 'default'])
    expect(args({ command: ['/own'] })).toEqual(['/own'])
    expect(args({ args: ['arg'] })).toEqual(['/entry', 'arg'])
    expect(args({ command: ['/own'], args: ['arg'] })).toEqual(['/own', 'arg'])
  })
  it('command line: none at all is an error with the container name', () => {
    expect(() => spec({}, { image: {} })).toThrow('no command specified for container "web"')
  })
  it("environment: the pod's over the image's over the defaults", () => {
    const env = spec({ env: [{ name: 'A', value: 'pod' }] }).process?.env
    expect(env).toEqual(['PATH=/bin', 'HOME=/root', 'A=pod'])
  })
  it('working directory: from the pod, else from the image', () => {
    expect(spec().process?.cwd).toBe('/srv')
    expect(spec({ workingDir: '/w' }).process?.cwd).toBe('/w')
  })
  it("namespaces: the sandbox's network, ipc and uts; its own mount, pid and cgroup", () => {
    expect(spec().linux?.namespaces).toEqual([
      { type: 'mount' },
      { type: 'cgroup' },
      { type: 'uts', path: '/proc/42/ns/uts' },
      { type: 'ipc', path: '/proc/42/ns/ipc' },
      { type: 'network', path: '/proc/42/ns/net' },
      { type: 'pid' },
    ])
    const shared = spec({ sharedPidNamespace: true }).linux?.namespaces
    expect(shared?.at(-1)).toEqual({ type: 'pid', path: '/proc/42/ns/pid' })
  })
  it('capabilities: the usual fourteen, plus and minus what the pod says', () => {
    expect(spec().process?.capabilities?.bounding).toHaveLength(14)
    const found = secured({ dropCapabilities: ['ALL'], addCapabilities: ['NET_BIND_SERVICE'] })
    expect(found.process?.capabilities?.bounding).toEqual(['CAP_NET_BIND_SERVICE'])
    const user = { uid: 1000, gid: 1000, additionalGids: [], home: '/' }
    expect(spec({}, { user }).process?.capabilities).toMatchObject({ effective: [], permitted: [] })
  })
  it('security: masked paths, seccomp and no_new_privs unless the pod is privileged', () => {
    expect(spec().linux).toHaveProperty('seccomp')
    expect(spec().linux?.maskedPaths).toContain('/proc/kcore')
    expect(secured({ allowPrivilegeEscalation: false }).process?.noNewPrivileges).toBe(true)
    const privileged = secured({ privileged: true, seccomp: 'Unconfined', maskProc: false })
    expect(privileged.linux).not.toHaveProperty('seccomp')
    expect(privileged.linux).not.toHaveProperty('maskedPaths')
    expect(privileged.linux?.resources?.devices).toEqual([{ allow: true, access: 'rwm' }])
    expect(spec().linux?.resources?.devices).toEqual([{ allow: false, access: 'rwm' }])
    expect(privileged.process?.capabilities?.bounding).toContain('CAP_SYS_ADMIN')
  })
  it('mounts: volumes after the system ones, parents before children', () => {
    const mount = (containerPath: string) =>
      ({ hostPath: '/v', containerPath, readOnly: true, propagation: 'private' }) as const
    const found = spec({ mounts: [mount('/data/cache'), mount('/data')] }).mounts?.slice(-2)
    expect(found).toEqual([
      { destination: '/data', type: 'bind', source: '/v', options: ['rbind', 'rprivate', 'ro'] },
      { destination: '/data/cache', type: 'bind', source: '/v', options: ['rbind', 'rprivate', 'ro'] },
    ])
  })
  it('processes: its own, the pod’s, or those of the container that it looks into', () => {
    const pid = (...of: Parameters<typeof spec>) => spec(...of).linux?.namespaces?.find(({ type }) => type === 'pid')
    expect(pid()).toEqual({ type: 'pid' })
    expect(pid({ sharedPidNamespace: true })).toEqual({ type: 'pid', path: '/proc/42/ns/pid' })
    expect(pid({}, { targetPid: 77 })).toEqual({ type: 'pid', path: '/proc/77/ns/pid' })
  })
  it('cgroup: below the pod', () => {
    expect(spec().linux?.cgroupsPath).toBe('coracle/n/pod1/id')
  })
})

describe('ociResources', () => {
  it('shares, quota, memory', () => {
    const found = ociResources({
      cpuShares: 512,
      cpuQuotaMicros: 50_000,
      cpuPeriodMicros: 100_000,
      memoryLimitBytes: 1024,
    })
    expect(found).toMatchObject({ cpu: { shares: 512, quota: 50_000, period: 100_000 }, memory: { limit: 1024 } })
  })
})
