/** Containers of a pod. Source: k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import { checkDnsLabel, checkPortName } from '../names.ts'
import type { Container, PodSpec } from '../types.ts'
import { validateEnvironment } from './environment.ts'
import { validatePort } from './numbers.ts'
import { validateHandler, validateProbe } from './probe.ts'
import {
  allOf,
  duplicate,
  duplicates,
  eachItem,
  invalidName,
  invalidValue,
  none,
  notAllowed,
  type Problem,
  required,
  unresolved,
  unsupported,
} from './problem.ts'
import { validateResources } from './resources.ts'
import { validateContainerContext } from './security-context.ts'
import { validateMounts } from './volume.ts'

type Port = NonNullable<Container['ports']>[number]

/** What is wrong with the containers and init containers of a pod. */
export function validateContainers(spec: PodSpec): readonly Problem[] {
  const { containers = [], initContainers = [] } = spec
  if (containers.length === 0) return [required('spec.containers')]
  const ofInit = eachItem(initContainers, 'spec.initContainers', (container, field) =>
    allOf(validateContainer(container, spec, field), validateInitContainer(container, field)),
  )
  const ofOrdinary = eachItem(containers, 'spec.containers', (container, field) =>
    allOf(validateContainer(container, spec, field), validateActions(container, field)),
  )
  return allOf(ofInit, ofOrdinary, validateUniqueNames(spec), validateHostPorts(spec))
}

function validateUniqueNames({ containers = [], initContainers = [] }: PodSpec): readonly Problem[] {
  if (initContainers.length + containers.length < 2) return none
  const names = [...initContainers, ...containers]
  return duplicates(
    names,
    ({ name }) => name,
    (at) => {
      const isInit = at < initContainers.length
      return isInit ? `spec.initContainers[${at}].name` : `spec.containers[${at - initContainers.length}].name`
    },
  )
}

const pullPolicies = ['Always', 'IfNotPresent', 'Never']
const messagePolicies = ['FallbackToLogsOnError', 'File']

function validateContainer(container: Container, spec: PodSpec, field: string): readonly Problem[] {
  const { name, image, imagePullPolicy, terminationMessagePolicy } = container
  return allOf(
    name ? invalidName(`${field}.name`, name, checkDnsLabel(name)) : [required(`${field}.name`)],
    validateImage(image, `${field}.image`),
    imagePullPolicy && !pullPolicies.includes(imagePullPolicy)
      ? [unsupported(`${field}.imagePullPolicy`, imagePullPolicy, pullPolicies)]
      : none,
    terminationMessagePolicy && !messagePolicies.includes(terminationMessagePolicy)
      ? [unsupported(`${field}.terminationMessagePolicy`, terminationMessagePolicy, messagePolicies)]
      : none,
    validatePorts(container.ports, spec.hostNetwork ?? false, `${field}.ports`),
    validateEnvironment(container, field),
    validateMounts(container, spec.volumes ?? [], field),
    validateResources(container.resources, `${field}.resources`),
    validateContainerContext(container.securityContext, `${field}.securityContext`),
  )
}

function validateImage(image: string | undefined, field: string): readonly Problem[] {
  if (!image) return [required(field)]
  return image === image.trim() ? [] : [invalidValue(field, image, 'must not have leading or trailing whitespace')]
}

const protocols = ['SCTP', 'TCP', 'UDP']

function validatePorts(ports: readonly Port[] | undefined, isHostNetwork: boolean, field: string): readonly Problem[] {
  return allOf(
    eachItem(ports, field, (port, at) =>
      allOf(
        port.name ? invalidName(`${at}.name`, port.name, checkPortName(port.name)) : none,
        port.containerPort
          ? validatePort(port.containerPort, `${at}.containerPort`)
          : [required(`${at}.containerPort`)],
        port.hostPort ? validatePort(port.hostPort, `${at}.hostPort`) : none,
        isHostNetwork && port.hostPort !== port.containerPort
          ? [
              invalidValue(
                `${at}.containerPort`,
                port.containerPort,
                'must match `hostPort` when `hostNetwork` is true',
              ),
            ]
          : none,
        protocols.includes(port.protocol ?? '')
          ? none
          : [unsupported(`${at}.protocol`, port.protocol ?? '', protocols)],
      ),
    ),
    duplicates(
      ports,
      ({ name }) => name,
      (at) => `${field}[${at}].name`,
    ),
  )
}

/** Two containers of a pod cannot have the same port of the host. */
function validateHostPorts({ containers = [] }: PodSpec): readonly Problem[] {
  if (!containers.some(({ ports }) => ports?.some(({ hostPort }) => hostPort))) return none
  const seen = new Set<string>()
  return eachItem(containers, 'spec.containers', ({ ports }, field) =>
    eachItem(ports, `${field}.ports`, ({ protocol, hostIP = '', hostPort }, at) => {
      if (!hostPort) return []
      const id = `${protocol}/${hostIP}/${hostPort}`
      if (seen.has(id)) return [duplicate(`${at}.hostPort`, id)]
      seen.add(id)
      return []
    }),
  )
}

/** Probes and hooks. */
function validateActions(container: Container, field: string): readonly Problem[] {
  const { lifecycle, livenessProbe, readinessProbe, startupProbe } = container
  return allOf(
    lifecycle?.postStart ? validateHandler(lifecycle.postStart, `${field}.lifecycle.postStart`) : none,
    lifecycle?.preStop ? validateHandler(lifecycle.preStop, `${field}.lifecycle.preStop`) : none,
    validateProbe(livenessProbe, `${field}.livenessProbe`),
    validateProbe(readinessProbe, `${field}.readinessProbe`, true),
    validateProbe(startupProbe, `${field}.startupProbe`),
  )
}

/** What an ephemeral container has nothing for: it is not restarted, waited for or counted. */
const notForEphemeral = [
  'ports',
  'livenessProbe',
  'readinessProbe',
  'startupProbe',
  'lifecycle',
  'resources',
  'resizePolicy',
] as const

/** What is wrong with the ephemeral containers of a pod. */
export function validateEphemeral(spec: PodSpec): readonly Problem[] {
  const { ephemeralContainers = [], containers = [], initContainers = [] } = spec
  const field = 'spec.ephemeralContainers'
  const taken = new Set([...containers, ...initContainers].map(({ name }) => name))
  return eachItem(ephemeralContainers, field, (container, at) => {
    const { targetContainerName, ...plain } = container
    const name = container.name
    const isTaken = name !== '' && taken.has(name)
    taken.add(name)
    const set = notForEphemeral.filter((each) => Object.keys(container[each] ?? {}).length > 0)
    const hasTarget = [...containers, ...initContainers].some((each) => each.name === targetContainerName)
    return allOf(
      validateContainer(plain, spec, at),
      isTaken ? [duplicate(`${at}.name`, name)] : none,
      targetContainerName && !hasTarget ? [unresolved(`${at}.targetContainerName`, targetContainerName)] : none,
      set.map((each) => notAllowed(`${at}.${each}`, 'cannot be set for an Ephemeral Container')),
    )
  })
}

const actions = ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe'] as const

function validateInitContainer(container: Container, field: string): readonly Problem[] {
  const { restartPolicy } = container
  if (restartPolicy === 'Always') return validateActions(container, field)
  return allOf(
    restartPolicy ? [unsupported(`${field}.restartPolicy`, restartPolicy, ['Always'])] : none,
    actions
      .filter((name) => container[name] !== undefined)
      .map((name) => notAllowed(`${field}.${name}`, 'may not be set for init containers without restartPolicy=Always')),
  )
}
