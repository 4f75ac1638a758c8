/** Services, Endpoints and EndpointSlices. Source: k8s.io/kubernetes/pkg/apis/{core,discovery}/validation/validation.go. */
import { isIP, isIPv4 } from 'node:net'
import { checkDnsLabel, checkDnsSubdomain } from '../names.ts'
import type { EndpointSlice, Endpoints, Service } from '../types.ts'
import { validateLabels } from './metadata.ts'
import { validateBetween, validatePort, validatePortOrName } from './numbers.ts'
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
  unsupported,
} from './problem.ts'

type Spec = NonNullable<Service['spec']>
type Port = NonNullable<Spec['ports']>[number]

const types = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']
const protocols = ['SCTP', 'TCP', 'UDP']
const affinities = ['ClientIP', 'None']
const policies = ['Cluster', 'Local']
const oneDay = 86_400

const notAnAddress = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'

const oneOf = (value: string | undefined, supported: readonly string[], field: string): readonly Problem[] =>
  value === undefined || supported.includes(value) ? [] : [unsupported(field, value, supported)]

/** What is wrong with a service. */
export function validateService({ spec = {} }: Service): readonly Problem[] {
  return allOf(
    oneOf(spec.type, types, 'spec.type'),
    validatePorts(spec),
    validateAddresses(spec),
    validateLabels(spec.selector, 'spec.selector'),
    oneOf(spec.sessionAffinity, affinities, 'spec.sessionAffinity'),
    validateBetween(
      spec.sessionAffinityConfig?.clientIP?.timeoutSeconds,
      [1, oneDay],
      'spec.sessionAffinityConfig.clientIP.timeoutSeconds',
    ),
    oneOf(spec.internalTrafficPolicy, policies, 'spec.internalTrafficPolicy'),
    oneOf(spec.externalTrafficPolicy, policies, 'spec.externalTrafficPolicy'),
    validateExternalName(spec),
  )
}

const isHeadless = ({ clusterIP }: Spec) => clusterIP === 'None'

function validatePorts(spec: Spec): readonly Problem[] {
  const { ports = [], type } = spec
  const field = 'spec.ports'
  if (ports.length === 0) return isHeadless(spec) || type === 'ExternalName' ? [] : [required(field)]
  const needsName = ports.length > 1
  return allOf(
    eachItem(ports, field, (port, at) => validateServicePort(port, { needsName, type }, at)),
    duplicates(
      ports,
      ({ name }) => name,
      (at) => `${field}[${at}].name`,
    ),
    repeatedPorts(ports, field),
  )
}

function validateServicePort(
  port: Port,
  { needsName, type }: { needsName: boolean; type: string | undefined },
  field: string,
): readonly Problem[] {
  const { name, protocol, targetPort, nodePort } = port
  return allOf(
    name ? invalidName(`${field}.name`, name, checkDnsLabel(name)) : needsName ? [required(`${field}.name`)] : none,
    validatePort(port.port, `${field}.port`),
    oneOf(protocol, protocols, `${field}.protocol`),
    validatePortOrName(targetPort, `${field}.targetPort`),
    nodePort && type !== 'NodePort' && type !== 'LoadBalancer'
      ? [notAllowed(`${field}.nodePort`, "may not be used when `type` is 'ClusterIP'")]
      : none,
  )
}

function repeatedPorts(ports: readonly Port[], field: string): readonly Problem[] {
  const seen = new Set<string>()
  return ports.flatMap(({ port, protocol = '' }, at) => {
    const id = `${protocol}/${port}`
    if (!seen.has(id)) {
      seen.add(id)
      return []
    }
    return [duplicate(`${field}[${at}]`, { protocol, port })]
  })
}

function validateAddresses(spec: Spec): readonly Problem[] {
  const { clusterIP, type, externalIPs, loadBalancerSourceRanges } = spec
  const problems: Problem[] = []
  if (clusterIP && clusterIP !== 'None' && !isIP(clusterIP)) {
    problems.push(invalidValue('spec.clusterIPs[0]', clusterIP, notAnAddress))
  }
  if (isHeadless(spec) && (type === 'NodePort' || type === 'LoadBalancer')) {
    problems.push(invalidValue('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${type} services`))
  }
  problems.push(
    ...eachItem(externalIPs, 'spec.externalIPs', (ip, at) => (isIP(ip) ? [] : [invalidValue(at, ip, notAnAddress)])),
  )
  if (loadBalancerSourceRanges && type !== 'LoadBalancer') {
    problems.push(notAllowed('spec.loadBalancerSourceRanges', "may only be used when `type` is 'LoadBalancer'"))
  }
  return problems
}

function validateExternalName({ type, externalName, clusterIP }: Spec): readonly Problem[] {
  if (type !== 'ExternalName') return []
  if (!externalName) return [required('spec.externalName')]
  return allOf(
    invalidName('spec.externalName', externalName, checkDnsSubdomain(externalName.replace(/\.$/, ''))),
    clusterIP ? [notAllowed('spec.clusterIPs', 'may not be set for ExternalName services')] : none,
  )
}

/** What an update of a service may not do. */
export function validateServiceUpdate({ spec = {} }: Service, old: Service): readonly Problem[] {
  const before = old.spec ?? {}
  const isFixed = before.type !== 'ExternalName' && spec.type !== 'ExternalName' && before.clusterIP
  if (!isFixed || spec.clusterIP === before.clusterIP) return []
  return [invalidValue('spec.clusterIPs[0]', spec.clusterIPs ?? [spec.clusterIP ?? ''], 'may not change once set')]
}

/** What is wrong with Endpoints. */
export function validateEndpoints({ subsets }: Endpoints): readonly Problem[] {
  return eachItem(subsets, 'subsets', ({ addresses = [], notReadyAddresses = [], ports = [] }, field) =>
    allOf(
      addresses.length + notReadyAddresses.length === 0
        ? [required(field, 'must specify `addresses` or `notReadyAddresses`')]
        : none,
      eachItem(addresses, `${field}.addresses`, ({ ip }, at) => validateEndpointAddress(ip, `${at}.ip`)),
      eachItem(notReadyAddresses, `${field}.notReadyAddresses`, ({ ip }, at) =>
        validateEndpointAddress(ip, `${at}.ip`),
      ),
      eachItem(ports, `${field}.ports`, ({ name, port, protocol }, at) =>
        allOf(
          name
            ? invalidName(`${at}.name`, name, checkDnsLabel(name))
            : ports.length > 1
              ? [required(`${at}.name`)]
              : none,
          validatePort(port, `${at}.port`),
          oneOf(protocol, protocols, `${at}.protocol`),
        ),
      ),
    ),
  )
}

/** An address of a pod or machine: not one that every machine has for itself. */
function validateEndpointAddress(ip: string, field: string): readonly Problem[] {
  if (!isIP(ip)) return [invalidValue(field, ip, notAnAddress)]
  if (ip === '0.0.0.0' || ip === '::') return [invalidValue(field, ip, `may not be unspecified (${ip})`)]
  if (ip.startsWith('127.') || ip === '::1')
    return [invalidValue(field, ip, 'may not be in the loopback range (127.0.0.0/8, ::1/128)')]
  if (ip.startsWith('169.254.'))
    return [invalidValue(field, ip, 'may not be in the link-local range (169.254.0.0/16, fe80::/10)')]
  return []
}

const addressTypes = ['FQDN', 'IPv4', 'IPv6']
const mostEndpoints = 1000

/** What is wrong with an EndpointSlice. */
export function validateEndpointSlice({ addressType, endpoints = [], ports }: EndpointSlice): readonly Problem[] {
  if (!addressType) return [required('addressType')]
  return allOf(
    oneOf(addressType, addressTypes, 'addressType'),
    endpoints.length > mostEndpoints
      ? [
          {
            reason: 'FieldValueTooMany',
            message: `Too many: ${endpoints.length}: must have at most ${mostEndpoints} items`,
            field: 'endpoints',
          },
        ]
      : none,
    eachItem(endpoints, 'endpoints', ({ addresses }, field) =>
      addresses.length === 0
        ? [required(`${field}.addresses`, 'must contain at least 1 address')]
        : eachItem(addresses, `${field}.addresses`, (ip, at) => validateSliceAddress(ip, addressType, at)),
    ),
    eachItem(ports, 'ports', ({ name, port, protocol }, field) =>
      allOf(
        name ? invalidName(`${field}.name`, name, checkDnsLabel(name)) : none,
        validateBetween(port, [1, 65535], `${field}.port`),
        oneOf(protocol, protocols, `${field}.protocol`),
      ),
    ),
    duplicates(
      ports,
      ({ name }) => name,
      (at) => `ports[${at}].name`,
    ),
  )
}

function validateSliceAddress(address: string, type: string, field: string): readonly Problem[] {
  if (type === 'FQDN') return invalidName(field, address, checkDnsSubdomain(address))
  const fits = type === 'IPv4' ? isIPv4(address) : isIP(address) === 6
  return fits
    ? validateEndpointAddress(address, field)
    : [invalidValue(field, address, `must be a valid ${type} address`)]
}

/** What an update of an EndpointSlice may not do. */
export function validateEndpointSliceUpdate(slice: EndpointSlice, old: EndpointSlice): readonly Problem[] {
  return slice.addressType === old.addressType
    ? []
    : [invalidValue('addressType', slice.addressType, 'field is immutable')]
}
