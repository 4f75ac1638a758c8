/** Source: `printNode` in k8s.io/kubernetes/pkg/printers/internalversion/printers.go. */
import type { Cell, Printer } from '../kinds/kind.ts'
import type { Node } from '../types.ts'
import { ageColumn, ageOf, column, nameColumn } from './cells.ts'

export const nodePrinter: Printer<Node> = {
  columns: [
    nameColumn,
    column('Status', 'The status of the node'),
    column('Roles', 'The roles of the node'),
    ageColumn,
    column('Version', 'Kubelet Version reported by the node.'),
    column('Internal-IP', 'List of addresses reachable to the node.', 'wide'),
    column('External-IP', 'List of addresses reachable to the node.', 'wide'),
    column(
      'OS-Image',
      'OS Image reported by the node from /etc/os-release (e.g. Debian GNU/Linux 7 (wheezy)).',
      'wide',
    ),
    column(
      'Kernel-Version',
      "Kernel Version reported by the node from 'uname -r' (e.g. 3.16.0-0.bpo.4-amd64).",
      'wide',
    ),
    column('Container-Runtime', 'ContainerRuntime Version reported by the node through runtime remote API.', 'wide'),
  ],
  cells: nodeCells,
}

function nodeCells(node: Node, now: number): Cell[] {
  const info = node.status?.nodeInfo
  return [
    node.metadata?.name ?? '',
    statusOf(node),
    rolesOf(node),
    ageOf(node, now),
    info?.kubeletVersion ?? '',
    addressOf(node, 'InternalIP'),
    addressOf(node, 'ExternalIP'),
    info?.osImage || '<unknown>',
    info?.kernelVersion || '<unknown>',
    info?.containerRuntimeVersion || '<unknown>',
  ]
}

function statusOf(node: Node): string {
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready')
  const state = ready ? (ready.status === 'True' ? 'Ready' : 'NotReady') : 'Unknown'
  return node.spec?.unschedulable ? `${state},SchedulingDisabled` : state
}

const rolePrefix = 'node-role.kubernetes.io/'

function rolesOf(node: Node): string {
  const roles = Object.entries(node.metadata?.labels ?? {}).flatMap(([key, value]) => {
    if (key.startsWith(rolePrefix) && key.length > rolePrefix.length) return [key.slice(rolePrefix.length)]
    return key === 'kubernetes.io/role' && value ? [value] : []
  })
  return [...new Set(roles)].sort().join(',') || '<none>'
}

function addressOf(node: Node, type: string): string {
  return node.status?.addresses?.find((address) => address.type === type)?.address ?? '<none>'
}
