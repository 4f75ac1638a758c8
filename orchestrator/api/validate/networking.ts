/** Source: k8s.io/kubernetes/pkg/apis/networking/validation/validation.go. */
import { isIP } from 'node:net'
import { isEqual } from '../equal.ts'
import { checkDns1035Label, checkDnsSubdomain, checkQualifiedName } from '../names.ts'
import type { Ingress, IngressClass, IPAddress, NetworkPolicy, ServiceCIDR } from '../types.ts'
import { validatePort, validatePortOrName } from './numbers.ts'
import {
  allOf,
  eachItem,
  invalidName,
  invalidValue,
  none,
  notAllowed,
  type Problem,
  required,
  unsupported,
} from './problem.ts'
import { validateSelector } from './selector.ts'

type Spec = NonNullable<Ingress['spec']>
type Backend = NonNullable<Spec['defaultBackend']>
type Rule = NonNullable<Spec['rules']>[number]
type Path = NonNullable<Rule['http']>['paths'][number]

/** What is wrong with an Ingress. */
export function validateIngress({ spec = {} }: Ingress): readonly Problem[] {
  const { rules = [], defaultBackend, ingressClassName, tls } = spec
  return allOf(
    rules.length === 0 && !defaultBackend
      ? [invalidValue('spec', rules, 'either `defaultBackend` or `rules` must be specified')]
      : none,
    defaultBackend ? validateBackend(defaultBackend, 'spec.defaultBackend') : none,
    eachItem(rules, 'spec.rules', validateRule),
    eachItem(tls, 'spec.tls', ({ hosts, secretName }, at) =>
      allOf(
        eachItem(hosts, `${at}.hosts`, validateHost),
        secretName ? invalidName(`${at}.secretName`, secretName, checkDnsSubdomain(secretName)) : none,
      ),
    ),
    ingressClassName === undefined
      ? none
      : invalidName('spec.ingressClassName', ingressClassName, checkDnsSubdomain(ingressClassName)),
  )
}

function validateHost(host: string, field: string): readonly Problem[] {
  return invalidName(field, host, checkDnsSubdomain(host.replace(/^\*\./, '')))
}

function validateRule({ host, http }: Rule, field: string): readonly Problem[] {
  const isAddress = host !== undefined && isIP(host) !== 0
  return allOf(
    isAddress ? [invalidValue(`${field}.host`, host, 'must be a DNS name, not an IP address')] : none,
    host && !isAddress ? validateHost(host, `${field}.host`) : none,
    http && http.paths.length === 0 ? [required(`${field}.http.paths`)] : none,
    eachItem(http?.paths, `${field}.http.paths`, validatePath),
  )
}

const pathTypes = ['Exact', 'ImplementationSpecific', 'Prefix']
const unclean = ['//', '/./', '/../', '%2f', '%2F']

function validatePath({ path = '', pathType, backend }: Path, field: string): readonly Problem[] {
  const at = `${field}.path`
  const isStrict = pathType === 'Exact' || pathType === 'Prefix'
  const problems: Problem[] = []
  if (!pathType) problems.push(required(`${field}.pathType`, 'pathType must be specified'))
  else if (!pathTypes.includes(pathType)) problems.push(unsupported(`${field}.pathType`, pathType, pathTypes))
  if ((isStrict || path !== '') && !path.startsWith('/')) {
    problems.push(invalidValue(at, path, 'must be an absolute path'))
  }
  if (isStrict) {
    for (const each of unclean.filter((text) => path.includes(text))) {
      problems.push(invalidValue(at, path, `must not contain '${each}'`))
    }
    for (const end of ['/..', '/.'].filter((text) => path.endsWith(text))) {
      problems.push(invalidValue(at, path, `cannot end with '${end}'`))
    }
  }
  return allOf(problems, validateBackend(backend, `${field}.backend`))
}

function validateBackend({ service, resource }: Backend, field: string): readonly Problem[] {
  if (service && resource) return [invalidValue(field, '', 'cannot set both resource and service backends')]
  if (resource) {
    return allOf(
      resource.kind ? none : [required(`${field}.resource.kind`)],
      resource.name ? none : [required(`${field}.resource.name`)],
    )
  }
  if (!service) return [required(field, 'cannot have a nil backend')]
  const { name, port } = service
  const at = `${field}.service`
  const hasBoth = Boolean(port?.name) && Boolean(port?.number)
  const hasNone = !port?.name && !port?.number
  return allOf(
    name ? invalidName(`${at}.name`, name, checkDns1035Label(name)) : [required(`${at}.name`)],
    hasBoth ? [invalidValue(field, '', 'cannot set both port name & port number')] : none,
    hasNone ? [required(at, 'port name or number is required')] : none,
    port?.number && !hasBoth ? validatePort(port.number, `${at}.port.number`) : none,
    port?.name && !hasBoth ? validatePortOrName(port.name, `${at}.port.name`) : none,
  )
}

/** What is wrong with an IngressClass. */
export function validateIngressClass({ spec = {} }: IngressClass): readonly Problem[] {
  const { controller = '', parameters } = spec
  const isPath = controller.includes('/') && checkQualifiedName(controller).length === 0
  const ofController =
    controller === ''
      ? [required('spec.controller')]
      : isPath
        ? []
        : [invalidValue('spec.controller', controller, 'must be a domain-prefixed path (such as "acme.io/foo")')]
  if (!parameters) return ofController
  const field = 'spec.parameters'
  const { kind, name, scope, namespace } = parameters
  return allOf(
    ofController,
    kind ? none : [required(`${field}.kind`, 'kind is required')],
    name ? none : [required(`${field}.name`, 'name is required')],
    scope === undefined ? [required(`${field}.scope`)] : none,
    scope !== undefined && !['Cluster', 'Namespace'].includes(scope)
      ? [unsupported(`${field}.scope`, scope, ['Cluster', 'Namespace'])]
      : none,
    scope === 'Namespace' && !namespace
      ? [required(`${field}.namespace`, "`parameters.scope` is set to 'Namespace'")]
      : none,
    scope === 'Cluster' && namespace
      ? [notAllowed(`${field}.namespace`, "`parameters.scope` is set to 'Cluster'")]
      : none,
  )
}

/** What an update of an IngressClass may not do. */
export function validateIngressClassUpdate({ spec }: IngressClass, old: IngressClass): readonly Problem[] {
  return spec?.controller === old.spec?.controller
    ? []
    : [invalidValue('spec.controller', spec?.controller ?? '', 'field is immutable')]
}

type PolicySpec = NonNullable<NetworkPolicy['spec']>
type PolicyPort = NonNullable<NonNullable<PolicySpec['ingress']>[number]['ports']>[number]
type Peer = NonNullable<NonNullable<PolicySpec['egress']>[number]['to']>[number]

/** What is wrong with a NetworkPolicy. */
export function validateNetworkPolicy({ spec }: NetworkPolicy): readonly Problem[] {
  if (!spec) return []
  const types = spec.policyTypes ?? []
  return allOf(
    validateSelector(spec.podSelector, 'spec.podSelector'),
    eachItem(spec.ingress, 'spec.ingress', ({ ports, from }, at) =>
      allOf(eachItem(ports, `${at}.ports`, validatePolicyPort), eachItem(from, `${at}.from`, validatePeer)),
    ),
    eachItem(spec.egress, 'spec.egress', ({ ports, to }, at) =>
      allOf(eachItem(ports, `${at}.ports`, validatePolicyPort), eachItem(to, `${at}.to`, validatePeer)),
    ),
    types.length > 2 ? [invalidValue('spec.policyTypes', types, 'may not specify more than two policyTypes')] : none,
    eachItem(types, 'spec.policyTypes', (type, at) =>
      ['Egress', 'Ingress'].includes(type) ? none : [unsupported(at, type, ['Egress', 'Ingress'])],
    ),
  )
}

const protocols = ['SCTP', 'TCP', 'UDP']

function validatePolicyPort({ protocol, port, endPort }: PolicyPort, field: string): readonly Problem[] {
  const ofProtocol =
    protocol !== undefined && !protocols.includes(protocol)
      ? [unsupported(`${field}.protocol`, protocol, protocols)]
      : []
  const ofPort = port === undefined ? [] : validatePortOrName(port, `${field}.port`)
  if (endPort === undefined) return allOf(ofProtocol, ofPort)
  const end = `${field}.endPort`
  if (port === undefined)
    return [...ofProtocol, required(`${field}.port`, 'must be specified when `endPort` is specified')]
  if (typeof port === 'string')
    return [...ofProtocol, ...ofPort, notAllowed(end, 'may not be specified when `port` is non-numeric')]
  return allOf(
    ofProtocol,
    ofPort,
    endPort < port ? [invalidValue(end, endPort, 'must be greater than or equal to `port`')] : none,
    validatePort(endPort, end),
  )
}

function validatePeer({ podSelector, namespaceSelector, ipBlock }: Peer, field: string): readonly Problem[] {
  if (!podSelector && !namespaceSelector && !ipBlock) return [required(field, 'must specify a peer')]
  if (ipBlock && (podSelector || namespaceSelector)) {
    return [notAllowed(field, 'may not specify both ipBlock and another peer')]
  }
  return allOf(
    validateSelector(podSelector, `${field}.podSelector`),
    validateSelector(namespaceSelector, `${field}.namespaceSelector`),
    ipBlock ? validateBlock(ipBlock, `${field}.ipBlock`) : none,
  )
}

const notABlock = 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'

/** Why a text is no range of addresses. */
export function validateCidr(text: string, field: string): readonly Problem[] {
  const [address = '', bits = '', ...rest] = text.split('/')
  const family = isIP(address)
  const isRange =
    family !== 0 && rest.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)
  return isRange ? [] : [invalidValue(field, text, notABlock)]
}

function validateBlock({ cidr, except }: NonNullable<Peer['ipBlock']>, field: string): readonly Problem[] {
  return allOf(
    cidr ? validateCidr(cidr, `${field}.cidr`) : [required(`${field}.cidr`)],
    eachItem(except, `${field}.except`, (each, at) => validateCidr(each, at)),
  )
}

/** What is wrong with an IPAddress: its name is the address. */
export function validateIpAddress({ metadata, spec }: IPAddress): readonly Problem[] {
  const name = metadata?.name ?? ''
  const { resource, name: parent } = spec?.parentRef ?? {}
  return allOf(
    isIP(name) ? none : [invalidValue('metadata.name', name, 'must be a valid IP address in canonical form')],
    spec?.parentRef ? none : [required('spec.parentRef')],
    spec?.parentRef && !resource ? [required('spec.parentRef.resource')] : none,
    spec?.parentRef && !parent ? [required('spec.parentRef.name')] : none,
  )
}

/** What an update of an IPAddress may not do. */
export function validateIpAddressUpdate({ spec }: IPAddress, old: IPAddress): readonly Problem[] {
  return isEqual(spec?.parentRef, old.spec?.parentRef)
    ? []
    : [invalidValue('spec.parentRef', spec?.parentRef ?? null, 'field is immutable')]
}

/** What is wrong with a ServiceCIDR. */
export function validateServiceCidr({ spec }: ServiceCIDR): readonly Problem[] {
  const cidrs = spec?.cidrs ?? []
  const families = new Set(cidrs.map((each) => isIP(each.split('/')[0] ?? '')))
  return allOf(
    cidrs.length === 0 ? [required('spec.cidrs', 'at least one CIDR required')] : none,
    cidrs.length > 2 ? [invalidValue('spec.cidrs', cidrs, 'may only hold up to 2 values')] : none,
    cidrs.length === 2 && families.size < 2
      ? [
          invalidValue(
            'spec.cidrs',
            cidrs,
            'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96',
          ),
        ]
      : none,
    eachItem(cidrs, 'spec.cidrs', (each, at) => validateCidr(each, at)),
  )
}

/** What an update of a ServiceCIDR may not do. */
export function validateServiceCidrUpdate({ spec }: ServiceCIDR, old: ServiceCIDR): readonly Problem[] {
  return isEqual(spec?.cidrs, old.spec?.cidrs)
    ? []
    : [invalidValue('spec.cidrs', spec?.cidrs ?? null, 'field is immutable')]
}
