import { setPodDefaults } from '../defaults/pod.ts'
import { isEqual } from '../equal.ts'
import { checkDnsSubdomain } from '../names.ts'
import { podPrinter } from '../print/pod.ts'
import { qosClassOf } from '../quality-of-service.ts'
import type { Container, Pod, PodSpec } from '../types.ts'
import { validateEphemeralContainers } from '../validate/ephemeral-containers.ts'
import { validatePod, validatePodCreate } from '../validate/pod.ts'
import { validateResize } from '../validate/pod-resize.ts'
import { validatePodUpdate } from '../validate/pod-update.ts'
import { allVerbs, type Kind, proxySubresource, type Strategy, statusSubresource } from './kind.ts'

const strategy: Strategy<Pod> = {
  checkName: checkDnsSubdomain,
  setDefaults: setPodDefaults,
  beforeCreate(pod) {
    pod.status = { phase: 'Pending', qosClass: qosClassOf(pod) }
  },
  beforeUpdate(pod, old) {
    if (old.status) pod.status = old.status
  },
  beforeStatusUpdate(pod, old) {
    if (old.spec) pod.spec = old.spec
    // Nobody takes the class back; a status without one is from a client that does not know it.
    if (pod.status && old.status?.qosClass) pod.status.qosClass ??= old.status.qosClass
  },
  through: {
    ephemeralcontainers: {
      before: (pod, old) => keepAllBut(pod, old, (spec) => ({ ephemeralContainers: spec.ephemeralContainers })),
      validate: validateEphemeralContainers,
    },
    resize: { before: keepAllButResources, validate: validateResize },
  },
  validate: validatePod,
  validateCreate: validatePodCreate,
  validateUpdate: validatePodUpdate,
  isNewGeneration: (pod, old) => !isEqual(pod.spec, old.spec),
  gracePeriodSeconds(pod, asked) {
    const isOver = pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded'
    if (!pod.spec?.nodeName || isOver) return 0
    const seconds = asked ?? pod.spec.terminationGracePeriodSeconds ?? 30
    // A negative period means at once, but by the kubelet.
    return seconds < 0 ? 1 : seconds
  },
  fields: {
    'spec.nodeName': (pod) => pod.spec?.nodeName ?? '',
    'spec.restartPolicy': (pod) => pod.spec?.restartPolicy ?? '',
    'spec.schedulerName': (pod) => pod.spec?.schedulerName ?? '',
    'spec.serviceAccountName': (pod) => pod.spec?.serviceAccountName ?? '',
    'spec.hostNetwork': (pod) => String(pod.spec?.hostNetwork ?? false),
    'status.phase': (pod) => pod.status?.phase ?? '',
    'status.podIP': (pod) => pod.status?.podIP ?? '',
    'status.nominatedNodeName': (pod) => pod.status?.nominatedNodeName ?? '',
  },
}

/** `old` with some of the new spec: the rest of what the client sent does not count. */
function keepAllBut(
  pod: Pod,
  old: Pod,
  taken: (spec: PodSpec) => { [Field in keyof PodSpec]?: PodSpec[Field] | undefined },
): void {
  const { resourceVersion: _, ...metadata } = old.metadata ?? {}
  const merged = { ...old.spec, ...(pod.spec ? taken(pod.spec) : {}) }
  pod.metadata = metadata
  pod.spec = Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined)) as unknown as PodSpec
  if (old.status) pod.status = old.status
}

function keepAllButResources(pod: Pod, old: Pod): void {
  keepAllBut(pod, old, (spec) => ({
    containers: withResourcesOf(old.spec?.containers ?? [], spec.containers),
    initContainers: old.spec?.initContainers && withResourcesOf(old.spec.initContainers, spec.initContainers ?? []),
  }))
}

function withResourcesOf(containers: readonly Container[], wanted: readonly Container[]): Container[] {
  return containers.map((container) => {
    const { resources, resizePolicy } = wanted.find(({ name }) => name === container.name) ?? container
    return { ...container, ...(resources ? { resources } : {}), ...(resizePolicy ? { resizePolicy } : {}) }
  })
}

const connect = (name: string, kind: string) => ({ name, kind, verbs: ['create', 'get'] as const })

export const podKind: Kind<Pod> = {
  group: '',
  version: 'v1',
  kind: 'Pod',
  resource: 'pods',
  singular: 'pod',
  shortNames: ['po'],
  categories: ['all'],
  namespaced: true,
  definition: 'io.k8s.api.core.v1.Pod',
  storedAt: '/registry/pods/',
  verbs: allVerbs,
  subresources: [
    connect('attach', 'PodAttachOptions'),
    { name: 'binding', kind: 'Binding', verbs: ['create'] },
    { name: 'ephemeralcontainers', verbs: ['get', 'patch', 'update'] },
    { name: 'eviction', group: 'policy', version: 'v1', kind: 'Eviction', verbs: ['create'] },
    connect('exec', 'PodExecOptions'),
    { name: 'log', verbs: ['get'] },
    connect('portforward', 'PodPortForwardOptions'),
    proxySubresource('PodProxyOptions'),
    { name: 'resize', verbs: ['get', 'patch', 'update'] },
    statusSubresource,
  ],
  strategy,
  printer: podPrinter,
}
