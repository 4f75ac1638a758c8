/** A pod's container as the runtime is asked for it: names resolved, volumes placed, security settings merged. */
import type { Container, EphemeralContainer, Pod } from '../orchestrator/api/types.ts'
import type { ContainerConfig, Mount, SecurityContext } from './cri/types.ts'
import type { NodeFacts } from './downward.ts'
import { type ConfigReader, environment, expand } from './environment.ts'
import { stepFailed } from './errors.ts'
import { hashOf } from './plan.ts'
import { identityOf, logPath, terminationLogPath } from './pod-directory.ts'
import { containerResources } from './resources.ts'
import type { ServiceReader } from './service-variables.ts'
import { showsObjects } from './volumes/kinds.ts'
import { bindSubPath } from './volumes/sub-path.ts'

export interface ContainerConfigInput extends ServiceReader {
  root: string
  pod: Pod
  container: Container | EphemeralContainer
  attempt: number
  podIPs: readonly string[]
  /** Where each volume of the pod lies on this node. */
  volumes: ReadonlyMap<string, string>
  /** `/etc/hosts` and friends, and the shared `/dev/shm`. */
  podMounts: readonly Mount[]
  reader: ConfigReader
  node: NodeFacts
}

/** Throws `CreateContainerConfigError` with the field's name when something it refers to is missing or unsupported. */
export async function containerConfig(input: ContainerConfigInput): Promise<ContainerConfig> {
  const { root, pod, container, attempt, node } = input
  const env = await environment(input)
  const known = new Map(env.map((each) => [each.name, each.value]))
  const run = { name: container.name, attempt }
  const identity = identityOf(pod)
  return {
    ...run,
    hash: hashOf(container),
    image: container.image ?? '',
    command: (container.command ?? []).map((word) => expand(word, known)),
    args: (container.args ?? []).map((word) => expand(word, known)),
    ...(container.workingDir === undefined ? {} : { workingDir: container.workingDir }),
    env: [{ name: 'HOSTNAME', value: pod.spec?.hostNetwork ? node.name : kernelHostname(pod) }, ...env],
    mounts: [...mounts(input, known), terminationMount(input)],
    tty: container.tty ?? false,
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    logPath: logPath(root, identity, run),
    terminationLogPath: terminationLogPath(root, identity.uid, run),
    fallbackToLogs: container.terminationMessagePolicy === 'FallbackToLogsOnError',
    resources: containerResources(container, pod, node.memoryBytes),
    security: securityContext(pod, container),
    sharedPidNamespace: pod.spec?.shareProcessNamespace ?? false,
    ...('targetContainerName' in container && container.targetContainerName
      ? { targetContainer: container.targetContainerName }
      : {}),
  }
}

/** The pod's own host name: `spec.hostname`, or its name, cut to 63 characters. */
export function hostname(pod: Pod): string {
  return (pod.spec?.hostname ?? pod.metadata?.name ?? '').slice(0, 63).replace(/[-.]+$/, '')
}

/** What the kernel calls the pod: the full name where the manifest wants it so (KEP-1797). */
export function kernelHostname(pod: Pod): string {
  const full = pod.spec?.setHostnameAsFQDN ? fullHostname(pod) : undefined
  return full ?? hostname(pod)
}

/** The name under which a headless Service finds the pod; undefined without `subdomain`. */
export function fullHostname(pod: Pod): string | undefined {
  const { subdomain } = pod.spec ?? {}
  return subdomain && `${hostname(pod)}.${subdomain}.${pod.metadata?.namespace}.svc.cluster.local`
}

function mounts(input: ContainerConfigInput, known: ReadonlyMap<string, string>): Mount[] {
  const own: Mount[] = []
  const { root, pod, container } = input
  const at = { root, podUid: identityOf(pod).uid, container: container.name }
  for (const [index, mount] of (container.volumeMounts ?? []).entries()) {
    const volume = input.volumes.get(mount.name)
    if (volume === undefined)
      throw stepFailed('CreateContainerConfigError', `cannot find volume "${mount.name}" to mount`)
    const inner = mount.subPathExpr ? expand(mount.subPathExpr, known) : (mount.subPath ?? '')
    own.push({
      hostPath: inner === '' ? volume : bindSubPath({ ...at, index, volume, path: inner }),
      containerPath: mount.mountPath.startsWith('/') ? mount.mountPath : `/${mount.mountPath}`,
      // Whoever can write there could make the kubelet, which updates these files, write elsewhere (CVE-2017-1002102).
      readOnly: (mount.readOnly ?? false) || isWrittenByKubelet(pod, mount.name),
      recursiveReadOnly: mount.recursiveReadOnly === 'Enabled' || mount.recursiveReadOnly === 'IfPossible',
      propagation: propagation(mount.mountPropagation),
    })
  }
  const taken = new Set(own.map((mount) => mount.containerPath))
  return [...input.podMounts.filter((mount) => !taken.has(mount.containerPath)), ...own]
}

function isWrittenByKubelet(pod: Pod, name: string): boolean {
  const volume = pod.spec?.volumes?.find((each) => each.name === name)
  return volume !== undefined && showsObjects(volume)
}

/** The file for the container's last words, where its manifest wants it (API reference: terminationMessagePath). */
function terminationMount({ root, pod, container, attempt }: ContainerConfigInput): Mount {
  return {
    hostPath: terminationLogPath(root, identityOf(pod).uid, { name: container.name, attempt }),
    containerPath: container.terminationMessagePath ?? '/dev/termination-log',
    readOnly: false,
    propagation: 'private',
  }
}

function propagation(name: string | undefined): Mount['propagation'] {
  if (name === 'HostToContainer') return 'rslave'
  return name === 'Bidirectional' ? 'rshared' : 'private'
}

/** The container's settings win over the pod's (API reference: PodSecurityContext). */
function securityContext(pod: Pod, container: Container): SecurityContext {
  const outer = pod.spec?.securityContext ?? {}
  const inner = container.securityContext ?? {}
  const runAsUser = inner.runAsUser ?? outer.runAsUser
  const runAsGroup = inner.runAsGroup ?? outer.runAsGroup
  const groups = [...(outer.supplementalGroups ?? []), ...(outer.fsGroup === undefined ? [] : [outer.fsGroup])]
  const seccomp = inner.seccompProfile?.type ?? outer.seccompProfile?.type ?? 'RuntimeDefault'
  const privileged = inner.privileged ?? false
  if (seccomp === 'Localhost')
    throw stepFailed('CreateContainerConfigError', 'seccompProfile type Localhost is not supported')
  return {
    ...(runAsUser === undefined ? {} : { runAsUser }),
    ...(runAsGroup === undefined ? {} : { runAsGroup }),
    runAsNonRoot: inner.runAsNonRoot ?? outer.runAsNonRoot ?? false,
    supplementalGroups: groups,
    privileged,
    readOnlyRootFilesystem: inner.readOnlyRootFilesystem ?? false,
    allowPrivilegeEscalation: inner.allowPrivilegeEscalation ?? true,
    addCapabilities: inner.capabilities?.add ?? [],
    dropCapabilities: inner.capabilities?.drop ?? [],
    seccomp: seccomp === 'Unconfined' || privileged ? 'Unconfined' : 'RuntimeDefault',
    maskProc: !privileged && inner.procMount !== 'Unmasked',
  }
}
