/**
 * Where a request for a pod's log, exec, attach or port-forward goes: to the kubelet of its node, under the kubelet's
 * own paths. Source: k8s.io/kubernetes/pkg/registry/core/pod/strategy.go (LogLocation, streamLocation).
 */

import type { Kind } from '../../api/kinds/kind.ts'
import { nodeKind } from '../../api/kinds/node.ts'
import { badRequest, internalError, invalid } from '../../api/status.ts'
import type { Node, Pod } from '../../api/types.ts'
import { invalidValue, notAllowed, type Problem, required } from '../../api/validate/problem.ts'
import type { ObjectPlace } from '../objects.ts'
import { booleanOf, numberOf } from '../parameters.ts'
import type { Registry } from '../registry.ts'
import { getStored } from '../stored.ts'

/** What is asked of the kubelet. */
export interface KubeletTarget {
  readonly host: string
  readonly port: number
  /** With its query. */
  readonly path: string
}

export type Connection = 'log' | 'exec' | 'attach' | 'portforward'

/** True for the subresources of pods that a kubelet answers. */
export function isConnection(subresource: string): subresource is Connection {
  return ['log', 'exec', 'attach', 'portforward'].includes(subresource)
}

/**
 * Where to go for this subresource of the pod. Undefined: a log of a pod without a node, which is empty. Throws
 * NOT_FOUND, BAD_REQUEST, INVALID.
 */
export function kubeletTargetOf(
  registry: Registry,
  place: ObjectPlace,
  request: { connection: Connection; query: URLSearchParams },
): KubeletTarget | undefined {
  const pod = getStored(registry, place) as Pod
  const { connection, query } = request
  const path = pathOf(pod, connection, query)
  const { nodeName } = pod.spec ?? {}
  if (nodeName) return { ...addressOf(registry, nodeName), path }
  if (connection === 'log') return undefined
  throw badRequest(`pod ${place.name} does not have a host assigned`)
}

function pathOf(pod: Pod, connection: Connection, query: URLSearchParams): string {
  const { name = '', namespace = '' } = pod.metadata ?? {}
  const at = `${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`
  const container = () => encodeURIComponent(containerOf(pod, query.get('container') ?? ''))
  switch (connection) {
    case 'log':
      return `/containerLogs/${at}/${container()}${textOf(logQuery(query))}`
    case 'exec':
      refuseOver(pod)
      return `/exec/${at}/${container()}${textOf(execQuery(query))}`
    case 'attach':
      refuseOver(pod)
      return `/attach/${at}/${container()}${textOf(streamQuery(query))}`
    case 'portforward':
      return `/portForward/${at}${textOf(query.getAll('ports').map((port): Pair => ['port', port]))}`
  }
}

type Pair = [string, string]
type Pairs = Pair[]

function textOf(pairs: Pairs): string {
  return pairs.length > 0 ? `?${new URLSearchParams(pairs)}` : ''
}

function containerOf(pod: Pod, asked: string): string {
  const name = pod.metadata?.name ?? ''
  const namesOf = (list: readonly { name: string }[] | undefined) => (list ?? []).map((each) => each.name)
  const names = namesOf(pod.spec?.containers)
  const initNames = namesOf(pod.spec?.initContainers)
  if (asked !== '') {
    if ([...names, ...initNames, ...namesOf(pod.spec?.ephemeralContainers)].includes(asked)) return asked
    throw badRequest(`container ${asked} is not valid for pod ${name}`)
  }
  const [only, ...others] = names
  if (only !== undefined && others.length === 0) return only
  const ofInit = initNames.length > 0 ? ` or one of the init containers: [${initNames.join(' ')}]` : ''
  throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${names.join(' ')}]${ofInit}`)
}

function refuseOver(pod: Pod): void {
  const { phase } = pod.status ?? {}
  if (phase === 'Succeeded' || phase === 'Failed') {
    throw badRequest(`cannot exec into a container in a completed pod; current phase is ${phase}`)
  }
}

const logNumbers = ['tailLines', 'sinceSeconds', 'limitBytes'] as const
const logTruths = ['follow', 'previous', 'timestamps'] as const

function logQuery(query: URLSearchParams): Pairs {
  const problems: Problem[] = []
  const numbers = logNumbers.flatMap((name): Pairs => {
    const value = numberOf(query, name)
    if (value === undefined) return []
    if (value < (name === 'tailLines' ? 0 : 1)) {
      const least = name === 'tailLines' ? 'must be greater than or equal to 0' : 'must be greater than 0'
      problems.push(invalidValue(name, value, least))
    }
    return [[name, String(value)]]
  })
  const since = query.get('sinceTime')
  if (since && query.get('sinceSeconds')) {
    problems.push(notAllowed('', 'at most one of `sinceTime` or `sinceSeconds` may be specified'))
  }
  if (since && Number.isNaN(Date.parse(since)))
    problems.push(invalidValue('sinceTime', since, 'must be an RFC 3339 time'))
  if (problems.length > 0) throw invalid({ group: '', kind: 'PodLogOptions' }, '', problems)
  const truths = logTruths.filter((name) => booleanOf(query, name)).map((name): Pair => [name, 'true'])
  return [...truths, ...numbers, ...(since ? [['sinceTime', since] as Pair] : [])]
}

const streams = { stdin: 'input', stdout: 'output', stderr: 'error' } as const

function streamQuery(query: URLSearchParams): Pairs {
  const isOn = (name: string, otherwise: boolean) => booleanOf(query, name) ?? otherwise
  const tty = isOn('tty', false)
  const asked = { stdin: isOn('stdin', false), stdout: isOn('stdout', true), stderr: isOn('stderr', true) }
  // A terminal has one stream for both.
  if (tty) asked.stderr = false
  const names = (['stdin', 'stdout', 'stderr'] as const).filter((name) => asked[name])
  if (names.length === 0) throw badRequest('you must specify at least 1 of stdin, stdout, stderr')
  return [...names.map((name): Pair => [streams[name], '1']), ...(tty ? [['tty', '1'] as Pair] : [])]
}

function execQuery(query: URLSearchParams): Pairs {
  const command = query.getAll('command')
  if (command.length === 0) throw invalid({ group: '', kind: 'PodExecOptions' }, '', [required('command')])
  return [...command.map((part): Pair => ['command', part]), ...streamQuery(query)]
}

function addressOf(registry: Registry, nodeName: string): { host: string; port: number } {
  return kubeletAddressOf(getStored(registry, { kind: nodeKind as unknown as Kind, name: nodeName }) as Node)
}

/** Where the node says that its kubelet listens. Throws INTERNAL_ERROR for a node without an address. */
export function kubeletAddressOf(node: Node): { host: string; port: number } {
  const host = node.status?.addresses?.find(({ type }) => type === 'InternalIP')?.address
  if (!host) throw internalError(`no preferred addresses found; known addresses: []`)
  return { host, port: node.status?.daemonEndpoints?.kubeletEndpoint?.Port || 10250 }
}
