/** The files that every container of a pod sees: /etc/hosts, /etc/hostname, /etc/resolv.conf, and the shared /dev/shm. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pod } from '../orchestrator/api/types.ts'
import { isMountPoint, mount } from '../runtime/linux/mount.ts'
import { fullHostname, hostname, kernelHostname } from './container-config.ts'
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
    hosts: (host ? await hostFile('/etc/hosts') : hostsFile(pod, ips)) + aliasesOf(pod),
    hostname: `${host ? input.node.name : kernelHostname(pod)}\n`,
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
  const full = fullHostname(pod)
  const domain = full ? `${full}\t` : ''
  return `${[
    '# Kubernetes-managed hosts file.',
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    'fe00::0\tip6-localnet',
    'fe00::0\tip6-mcastprefix',
    'fe00::1\tip6-allnodes',
    'fe00::2\tip6-allrouters',
    ...ips.map((ip) => `${ip}\t${domain}${hostname(pod)}`),
  ].join('\n')}\n`
}

/** Also for a pod in the node's network, whose hosts are the node's own otherwise (upstream: nodeHostsFileContent). */
function aliasesOf({ spec }: Pod): string {
  const lines = (spec?.hostAliases ?? []).map(({ ip, hostnames = [] }) => `${ip}\t${hostnames.join('\t')}\n`)
  return lines.length === 0 ? '' : `\n# Entries added by HostAliases.\n${lines.join('')}`
}

/** dnsPolicy (Kubernetes docs: concepts/services-networking/dns-pod-service), with `dnsConfig` merged into it. */
async function resolvConf(input: PodFilesInput, pod: Pod): Promise<string> {
  const { dnsPolicy = 'ClusterFirst', dnsConfig, hostNetwork } = pod.spec ?? {}
  const cluster = dnsPolicy === 'ClusterFirstWithHostNet' || (dnsPolicy === 'ClusterFirst' && !hostNetwork)
  const base =
    dnsPolicy === 'None'
      ? { nameservers: [], searches: [], options: [] }
      : cluster && input.dns.length > 0
        ? clusterDns(input.dns, pod.metadata?.namespace ?? 'default')
        : parseResolvConf(await hostFile('/etc/resolv.conf'))
  const options = new Map(base.options.map((option) => [option.split(':')[0], option]))
  for (const { name = '', value } of dnsConfig?.options ?? [])
    options.set(name, value === undefined ? name : `${name}:${value}`)
  const nameservers = [...new Set([...base.nameservers, ...(dnsConfig?.nameservers ?? [])])]
  const searches = [...new Set([...base.searches, ...(dnsConfig?.searches ?? [])])]
  return [
    ...nameservers.map((server) => `nameserver ${server}\n`),
    searches.length > 0 ? `search ${searches.join(' ')}\n` : '',
    options.size > 0 ? `options ${[...options.values()].join(' ')}\n` : '',
  ].join('')
}

interface Dns {
  nameservers: readonly string[]
  searches: readonly string[]
  options: readonly string[]
}

function clusterDns(nameservers: readonly string[], namespace: string): Dns {
  const searches = [`${namespace}.svc.cluster.local`, 'svc.cluster.local', 'cluster.local']
  return { nameservers, searches, options: ['ndots:5'] }
}

/** resolv.conf(5): of several `search` lines the last one counts. */
function parseResolvConf(text: string): Dns {
  const lines = text.split('\n').map((line) => line.trim().split(/\s+/))
  const all = (keyword: string) => lines.filter(([word]) => word === keyword).map((line) => line.slice(1))
  return {
    nameservers: all('nameserver').flatMap(([server]) => server ?? []),
    searches: all('search').at(-1) ?? all('domain').at(-1) ?? [],
    options: all('options').flat(),
  }
}
