/** Which sysctls a pod may set (Kubernetes docs: tasks/administer-cluster/sysctl-cluster). */
import type { Check } from './refusal.ts'

/**
 * Kept apart for each pod by the kernel, and harmless to other pods. A name that is not listed is either not
 * namespaced, and would change the whole node, or lets a pod use up what others need.
 */
const safe: ReadonlySet<string> = new Set([
  'kernel.shm_rmid_forced',
  'net.ipv4.ip_local_port_range',
  'net.ipv4.ip_local_reserved_ports',
  'net.ipv4.ip_unprivileged_port_start',
  'net.ipv4.ping_group_range',
  'net.ipv4.tcp_fin_timeout',
  'net.ipv4.tcp_keepalive_intvl',
  'net.ipv4.tcp_keepalive_probes',
  'net.ipv4.tcp_keepalive_time',
  'net.ipv4.tcp_rmem',
  'net.ipv4.tcp_syncookies',
  'net.ipv4.tcp_wmem',
])

/** Refuses what is not on the list, and what would be set in the node's own namespaces. */
export const allowsSysctls: Check = ({ spec }) => {
  for (const { name: written } of spec?.securityContext?.sysctls ?? []) {
    const name = written.replaceAll('/', '.')
    if (!safe.has(name)) return forbidden(`forbidden sysctl: "${written}" not allowlisted`)
    if (spec?.hostNetwork && name.startsWith('net.'))
      return forbidden(`forbidden sysctl: "${written}" not allowed with host net enabled`)
    if (spec?.hostIPC && name.startsWith('kernel.'))
      return forbidden(`forbidden sysctl: "${written}" not allowed with host ipc enabled`)
  }
  return undefined
}

const forbidden = (message: string) => ({ reason: 'SysctlForbidden', message: `Pod was rejected: ${message}` })
