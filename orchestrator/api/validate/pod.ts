/** Source: ValidatePodSpec in k8s.io/kubernetes/pkg/apis/core/validation/validation.go. */
import { isIP } from 'node:net'
import { type CheckName, checkDnsLabel, checkDnsSubdomain, checkQualifiedName } from '../names.ts'
import type { Pod, PodSpec } from '../types.ts'
import { validateContainers } from './container.ts'
import { validateBetween, validateNotNegative } from './numbers.ts'
import { validatePlacement } from './placement.ts'
import {
  allOf,
  duplicates,
  eachItem,
  invalidName,
  invalidValue,
  none,
  notAllowed,
  type Problem,
  required,
  unsupported,
} from './problem.ts'
import { validatePodContext } from './security-context.ts'
import { validateVolumes } from './volume.ts'

/** What is wrong with a pod. */
export function validatePod({ spec }: Pod): readonly Problem[] {
  if (!spec) return [required('spec.containers')]
  return allOf(
    validateVolumes(spec.volumes, 'spec.volumes'),
    validateContainers(spec),
    validatePolicies(spec),
    validateNames(spec),
    validateDns(spec),
    validatePlacement(spec),
    validatePodContext(spec.securityContext, 'spec.securityContext'),
    validateSharing(spec),
  )
}

const restartPolicies = ['Always', 'Never', 'OnFailure']
const dnsPolicies = ['ClusterFirst', 'ClusterFirstWithHostNet', 'Default', 'None']
const systems = ['linux', 'windows']
const preemptionPolicies = ['Never', 'PreemptLowerPriority']
const longestSeconds = 2 ** 31 - 1

function oneOf(value: string | undefined, supported: readonly string[], field: string): readonly Problem[] {
  if (value === undefined || supported.includes(value)) return []
  return value === '' ? [required(field)] : [unsupported(field, value, supported)]
}

function validatePolicies(spec: PodSpec): readonly Problem[] {
  return allOf(
    oneOf(spec.restartPolicy, restartPolicies, 'spec.restartPolicy'),
    oneOf(spec.dnsPolicy, dnsPolicies, 'spec.dnsPolicy'),
    oneOf(spec.preemptionPolicy, preemptionPolicies, 'spec.preemptionPolicy'),
    oneOf(spec.os?.name, systems, 'spec.os.name'),
    validateBetween(spec.activeDeadlineSeconds, [1, longestSeconds], 'spec.activeDeadlineSeconds'),
    validateNotNegative(spec.terminationGracePeriodSeconds, 'spec.terminationGracePeriodSeconds'),
  )
}

function validateNames(spec: PodSpec): readonly Problem[] {
  return allOf(
    named(spec.serviceAccountName, 'spec.serviceAccountName', checkDnsSubdomain),
    named(spec.nodeName, 'spec.nodeName', checkDnsSubdomain),
    named(spec.hostname, 'spec.hostname', checkDnsLabel),
    named(spec.subdomain, 'spec.subdomain', checkDnsLabel),
    named(spec.priorityClassName, 'spec.priorityClassName', checkDnsSubdomain),
    named(spec.runtimeClassName, 'spec.runtimeClassName', checkDnsSubdomain),
    eachItem(spec.imagePullSecrets, 'spec.imagePullSecrets', ({ name }, at) =>
      name ? none : [required(`${at}.name`)],
    ),
    eachItem(spec.readinessGates, 'spec.readinessGates', ({ conditionType }, at) =>
      invalidName(`${at}.conditionType`, conditionType, checkQualifiedName(conditionType)),
    ),
    eachItem(spec.schedulingGates, 'spec.schedulingGates', ({ name }, at) =>
      invalidName(`${at}.name`, name, checkQualifiedName(name)),
    ),
    duplicates(
      spec.schedulingGates,
      ({ name }) => name,
      (at) => `spec.schedulingGates[${at}].name`,
    ),
  )
}

function named(value: string | undefined, field: string, check: CheckName): readonly Problem[] {
  return value ? invalidName(field, value, check(value)) : none
}

const mostNameservers = 3
const mostSearches = 32

function validateDns(spec: PodSpec): readonly Problem[] {
  return allOf(
    spec.dnsConfig || spec.dnsPolicy === 'None' ? validateDnsConfig(spec) : none,
    eachItem(spec.hostAliases, 'spec.hostAliases', ({ ip, hostnames }, at) =>
      allOf(
        validateAddress(ip, `${at}.ip`),
        eachItem(hostnames, `${at}.hostnames`, (name, each) => invalidName(each, name, checkDnsSubdomain(name))),
      ),
    ),
  )
}

function validateDnsConfig({ dnsPolicy, dnsConfig }: PodSpec): readonly Problem[] {
  const { nameservers = [], searches = [] } = dnsConfig ?? {}
  const field = 'spec.dnsConfig'
  return allOf(
    dnsPolicy === 'None' && nameservers.length === 0
      ? [
          required(
            dnsConfig ? `${field}.nameservers` : field,
            'must provide at least one DNS nameserver when `dnsPolicy` is None',
          ),
        ]
      : none,
    nameservers.length > mostNameservers
      ? [invalidValue(`${field}.nameservers`, nameservers, `must not have more than ${mostNameservers} nameservers`)]
      : none,
    eachItem(nameservers, `${field}.nameservers`, validateAddress),
    searches.length > mostSearches
      ? [invalidValue(`${field}.searches`, searches, `must not have more than ${mostSearches} search paths`)]
      : none,
    eachItem(searches, `${field}.searches`, (search, at) =>
      invalidName(at, search, checkDnsSubdomain(search.replace(/(?<=.)\.$/, '').replace(/_/g, '-'))),
    ),
    eachItem(dnsConfig?.options, `${field}.options`, ({ name }, at) =>
      name ? none : [required(at, 'must not be empty')],
    ),
  )
}

function validateAddress(address: string, field: string): readonly Problem[] {
  return isIP(address)
    ? []
    : [invalidValue(field, address, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)')]
}

function validateSharing({
  shareProcessNamespace,
  hostPID,
  hostUsers,
  hostNetwork,
  hostIPC,
}: PodSpec): readonly Problem[] {
  const onHost = () => [hostPID && 'hostPID', hostNetwork && 'hostNetwork', hostIPC && 'hostIPC'].filter(Boolean)
  return allOf(
    shareProcessNamespace && hostPID
      ? [invalidValue('spec.shareProcessNamespace', true, 'ShareProcessNamespace and HostPID cannot both be enabled')]
      : none,
    hostUsers === false ? onHost().map((name) => notAllowed(`spec.${name}`, 'when `hostUsers` is false')) : none,
  )
}

/** What a creator may not say. */
export function validatePodCreate({ spec }: Pod): readonly Problem[] {
  if (!spec?.ephemeralContainers?.length) return []
  return [notAllowed('spec.ephemeralContainers', 'cannot be set on create')]
}
