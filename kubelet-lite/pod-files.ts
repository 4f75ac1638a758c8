/** The files that every container of a pod sees: /etc/hosts, /etc/hostname, /etc/resolv.conf, and the shared /dev/shm. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pod } from '../orchestrator/api/types.ts'
import { isMountPoint, mount } from '../runtime/linux/mount.ts'
import { hostname } from './container-config.ts'
import type { Mount } from './cri/types.ts'
import { podDirectory } from './pod-directory.ts'

export interface PodFilesInput {
  root: string
  dns: readonly string[]
  node: { name: string }
}

/** Writes the files (again, with the same bytes) and says where they go. Throws for a `dnsPolicy` without meaning here. */
export async function podMounts(input: PodFilesInput, pod: Pod, ips: readonly string[]): Promise<Mount[]> {
  const directory = join(podDirectory(input.root, pod.metadata?.uid ?? ''), 'etc')
  await mkdir(directory, { recursive: true, mode: 0o755 })
  const host = pod.spec?.hostNetwork ?? false
  const files = {
    hosts: host ? await hostFile('/etc/hosts') : hostsFile(pod, ips),
    hostname: `${host ? input.node.name : hostname(pod)}\n`,
    'resolv.conf': await resolvConf(input, pod),
  }
  const mounts: Mount[] = []
  for (const [name, text] of Object.entries(files)) {
    const path = join(directory, name)
    await writeFile(path, text, { mode: 0o644 })
    mounts.push({ hostPath: path, containerPath: `/etc/${name}`, readOnly: false, propagation: 'private' })
  }
  const shm = pod.spec?.hostIPC ? '/dev/shm' : await sharedMemory(input.root, pod)
  return [...mounts, { hostPath: shm, containerPath: '/dev/shm', readOnly: false, propagation: 'private' }]
}

/** One tmpfs for the pod, because its containers share an IPC namespace (as CRI runtimes do; 64 MiB like Docker's). */
async function sharedMemory(root: string, pod: Pod): Promise<string> {
  const place = join(podDirectory(root, pod.metadata?.uid ?? ''), 'shm')
  await mkdir(place, { recursive: true, mode: 0o755 })
  if (isMountPoint(place)) return place
  mount({
    source: 'shm',
    target: place,
    type: 'tmpfs',
    flags: ['nosuid', 'noexec', 'nodev'],
    data: 'mode=1777,size=64m',
  })
  return place
}

async function hostFile(path: string): Promise<string> {
  return readFile(path, 'utf8').catch(() => '')
}

function hostsFile(pod: Pod, ips: readonly string[]): string {
  const { spec } = pod
  const domain = spec?.subdomain
    ? `${hostname(pod)}.${spec.subdomain}.${pod.metadata?.namespace}.svc.cluster.local\t`
    : ''
  const aliases = (spec?.hostAliases ?? []).map((alias) => `${alias.ip}\t${(alias.hostnames ?? []).join('\t')}`)
  return `${[
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    ...ips.map((ip) => `${ip}\t${domain}${hostname(pod)}`),
    ...(aliases.length > 0 ? ['', '# Entries added by HostAliases.', ...aliases] : []),
  ].join('\n')}\n`
}

/** dnsPolicy (Kubernetes docs: concepts/services-networking/dns-pod-service), then `dnsConfig` on top. */
async function resolvConf(input: PodFilesInput, pod: Pod): Promise<string> {
  const { dnsPolicy = 'ClusterFirst', dnsConfig, hostNetwork } = pod.spec ?? {}
  const cluster = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork)
  const namespace = pod.metadata?.namespace ?? 'default'
  const nameservers = [...(cluster ? input.dns : []), ...(dnsConfig?.nameservers ?? [])]
  const domains =
    cluster && input.dns.length > 0 ? [`${namespace}.svc.cluster.local`, 'svc.cluster.local', 'cluster.local'] : []
  const searches = [...domains, ...(dnsConfig?.searches ?? [])]
  const options = [
    ...(domains.length > 0 ? ['ndots:5'] : []),
    ...(dnsConfig?.options ?? []).map(({ name, value }) => (value === undefined ? (name ?? '') : `${name}:${value}`)),
  ]
  const usesNode = dnsPolicy !== 'None' && (!cluster || input.dns.length === 0)
  const inherited = usesNode ? await hostFile('/etc/resolv.conf') : ''
  return [
    ...nameservers.map((server) => `nameserver ${server}\n`),
    inherited,
    searches.length > 0 ? `search ${searches.join(' ')}\n` : '',
    options.length > 0 ? `options ${options.join(' ')}\n` : '',
  ].join('')
}
