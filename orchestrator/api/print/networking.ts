/** Source: k8s.io/kubernetes/pkg/printers/internalversion/printers.go. */
import type { Printer } from '../kinds/kind.ts'
import { formatLabelSelector, fromSelectorFields } from '../selectors/label.ts'
import type { Ingress, IngressClass, IPAddress, KubeObject, NetworkPolicy, ServiceCIDR } from '../types.ts'
import { ageColumn, ageOf, column, nameColumn } from './cells.ts'

const nameOf = ({ metadata }: KubeObject) => metadata?.name ?? ''
const shownHosts = 3

export const ingressPrinter: Printer<Ingress> = {
  columns: [
    nameColumn,
    column('Class', 'Who serves it'),
    column('Hosts', 'For which hosts'),
    column('Address', 'Where it is reached'),
    column('Ports', 'Which ports it uses'),
    ageColumn,
  ],
  cells: (ingress, now) => {
    const { spec = {}, status } = ingress
    const addresses = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip || hostname || '')
    const older = ingress.metadata?.annotations?.['kubernetes.io/ingress.class']
    return [
      nameOf(ingress),
      spec.ingressClassName ?? older ?? '<none>',
      hostsText((spec.rules ?? []).map(({ host }) => host ?? '').filter(Boolean)),
      addresses.filter(Boolean).join(','),
      spec.tls?.length ? '80, 443' : '80',
      ageOf(ingress, now),
    ]
  },
}

function hostsText(hosts: readonly string[]): string {
  if (hosts.length === 0) return '*'
  if (hosts.length <= shownHosts) return hosts.join(',')
  return `${hosts.slice(0, shownHosts).join(',')} + ${hosts.length - shownHosts} more...`
}

export const ingressClassPrinter: Printer<IngressClass> = {
  columns: [nameColumn, column('Controller', 'Who serves it'), column('Parameters', 'How'), ageColumn],
  cells: (each, now) => {
    const { kind, name, apiGroup } = each.spec?.parameters ?? {}
    const group = apiGroup ? `.${apiGroup}` : ''
    return [nameOf(each), each.spec?.controller ?? '', kind ? `${kind}${group}/${name}` : '<none>', ageOf(each, now)]
  },
}

export const networkPolicyPrinter: Printer<NetworkPolicy> = {
  columns: [nameColumn, column('Pod-Selector', 'Which pods it is about'), ageColumn],
  cells: (policy, now) => [
    nameOf(policy),
    formatLabelSelector(fromSelectorFields(policy.spec?.podSelector ?? {})) || '<none>',
    ageOf(policy, now),
  ],
}

export const ipAddressPrinter: Printer<IPAddress> = {
  columns: [nameColumn, column('ParentRef', 'Whose address it is'), ageColumn],
  cells: (address, now) => {
    const { group = '', resource = '', namespace, name } = address.spec?.parentRef ?? {}
    const place = namespace ? `${namespace}/${name}` : (name ?? '')
    return [nameOf(address), `${resource}${group ? `.${group}` : ''}/${place}`, ageOf(address, now)]
  },
}

export const serviceCidrPrinter: Printer<ServiceCIDR> = {
  columns: [nameColumn, column('CIDRs', 'Which addresses'), ageColumn],
  cells: (range, now) => [nameOf(range), range.spec?.cidrs?.join(',') ?? '', ageOf(range, now)],
}
