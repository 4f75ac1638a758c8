/** The baseline standard: known ways out of a container. Source: kubernetes.io/docs/concepts/security/pod-security-standards. */

import {
  type Control,
  containersOf,
  isInUserNamespace,
  type Judged,
  named,
  namesOf,
  plural,
  quoted,
  setters,
  sorted,
  type Violation,
} from './control.ts'
import { apparmor, seccompBaseline, seLinux } from './profiles.ts'

/** By id: that is the order in which they are told. */
export const baseline: readonly Control[] = [
  { id: 'appArmorProfile', since: 0, check: apparmor },
  { id: 'capabilities_baseline', since: 0, check: capabilities },
  { id: 'hostNamespaces', since: 0, check: hostNamespaces },
  { id: 'hostPathVolumes', since: 0, check: hostPaths },
  { id: 'hostPorts', since: 0, check: hostPorts },
  { id: 'hostProbesAndHostLifecycle', since: 34, check: probedHosts },
  { id: 'privileged', since: 0, check: privileged },
  { id: 'procMount', since: 0, check: (judged) => (isInUserNamespace(judged) ? undefined : procMount(judged)) },
  { id: 'seLinuxOptions', since: 0, check: seLinux },
  { id: 'seccompProfile_baseline', since: 0, check: seccompBaseline },
  { id: 'sysctls', since: 0, check: sysctls },
  { id: 'windowsHostProcess', since: 0, check: hostProcess },
]

const usualCapabilities =
  'AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER FSETID KILL MKNOD NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'.split(
    ' ',
  )

function capabilities({ spec }: Judged): Violation | undefined {
  const added = containersOf(spec).map(({ name, securityContext }) => ({
    name,
    bad: (securityContext?.capabilities?.add ?? []).filter((each) => !usualCapabilities.includes(each)),
  }))
  const bad = added.filter((each) => each.bad.length > 0)
  if (bad.length === 0) return undefined
  const who = named(
    'container',
    bad.map(({ name }) => name),
  )
  const what = quoted(sorted(bad.flatMap((each) => each.bad)))
  return {
    reason: 'non-default capabilities',
    detail: `${who} must not include ${what} in securityContext.capabilities.add`,
  }
}

function hostNamespaces({ spec }: Judged): Violation | undefined {
  const shared = (['hostNetwork', 'hostPID', 'hostIPC'] as const).filter((name) => spec[name])
  if (shared.length === 0) return undefined
  return { reason: 'host namespaces', detail: shared.map((name) => `${name}=true`).join(', ') }
}

function hostPaths({ spec }: Judged): Violation | undefined {
  const names = (spec.volumes ?? []).filter(({ hostPath }) => hostPath).map(({ name }) => name)
  return names.length > 0 ? { reason: 'hostPath volumes', detail: named('volume', names) } : undefined
}

function hostPorts({ spec }: Judged): Violation | undefined {
  const names = namesOf(spec, ({ ports = [] }) => ports.some(({ hostPort }) => hostPort))
  if (names.length === 0) return undefined
  const ports = sorted(
    containersOf(spec).flatMap((each) =>
      (each.ports ?? []).flatMap(({ hostPort }) => (hostPort ? [String(hostPort)] : [])),
    ),
  )
  const use = names.length === 1 ? 'uses' : 'use'
  return {
    reason: 'hostPort',
    detail: `${named('container', names)} ${use} ${plural('hostPort', ports.length)} ${ports.join(', ')}`,
  }
}

function probedHosts({ spec }: Judged): Violation | undefined {
  const bad = containersOf(spec).flatMap((container) => {
    const { livenessProbe, readinessProbe, startupProbe, lifecycle } = container
    const hosts = [livenessProbe, readinessProbe, startupProbe, lifecycle?.postStart, lifecycle?.preStop]
      .flatMap((each) => [each?.httpGet?.host, each?.tcpSocket?.host])
      .filter((host): host is string => Boolean(host))
    return hosts.length > 0 ? [{ name: container.name, hosts }] : []
  })
  if (bad.length === 0) return undefined
  const names = sorted(bad.map(({ name }) => name))
  const hosts = sorted(bad.flatMap((each) => each.hosts))
  const use = names.length === 1 ? 'uses' : 'use'
  const what = plural('probe or lifecycle host', hosts.length)
  return {
    reason: 'probe or lifecycle host',
    detail: `${named('container', names)} ${use} ${what} ${quoted(hosts)}`,
  }
}

function privileged({ spec }: Judged): Violation | undefined {
  const names = namesOf(spec, ({ securityContext }) => securityContext?.privileged === true)
  if (names.length === 0) return undefined
  return { reason: 'privileged', detail: `${named('container', names)} must not set securityContext.privileged=true` }
}

export function procMount({ spec }: Judged): Violation | undefined {
  const isBad = (mount: string | undefined) => mount !== undefined && mount !== 'Default'
  const names = namesOf(spec, ({ securityContext }) => isBad(securityContext?.procMount))
  if (names.length === 0) return undefined
  const types = sorted(
    containersOf(spec)
      .map(({ securityContext }) => securityContext?.procMount ?? '')
      .filter((mount) => mount !== '' && isBad(mount)),
  )
  const detail = `${named('container', names)} must not set securityContext.procMount to ${quoted(types)}`
  return { reason: 'procMount', detail }
}

/** Those that count for the pod alone, with the version that took them in. */
const safeSysctls: Readonly<Record<string, number>> = {
  'kernel.shm_rmid_forced': 0,
  'net.ipv4.ip_local_port_range': 0,
  'net.ipv4.tcp_syncookies': 0,
  'net.ipv4.ping_group_range': 0,
  'net.ipv4.ip_unprivileged_port_start': 0,
  'net.ipv4.ip_local_reserved_ports': 27,
  'net.ipv4.tcp_keepalive_time': 29,
  'net.ipv4.tcp_fin_timeout': 29,
  'net.ipv4.tcp_keepalive_intvl': 29,
  'net.ipv4.tcp_keepalive_probes': 29,
  'net.ipv4.tcp_rmem': 32,
  'net.ipv4.tcp_wmem': 32,
}

function sysctls({ spec, minor }: Judged): Violation | undefined {
  const isSafe = (name: string) => Object.hasOwn(safeSysctls, name) && (safeSysctls[name] ?? 0) <= minor
  const names = (spec.securityContext?.sysctls ?? []).map(({ name }) => name).filter((name) => !isSafe(name))
  return names.length > 0 ? { reason: 'forbidden sysctls', detail: names.join(', ') } : undefined
}

function hostProcess({ spec }: Judged): Violation | undefined {
  const names = namesOf(spec, ({ securityContext }) => securityContext?.windowsOptions?.hostProcess === true)
  const who = setters(spec.securityContext?.windowsOptions?.hostProcess === true, names)
  if (!who) return undefined
  return { reason: 'hostProcess', detail: `${who} must not set securityContext.windowsOptions.hostProcess=true` }
}
