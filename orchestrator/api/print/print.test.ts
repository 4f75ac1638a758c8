import { describe, expect, it } from 'vitest'
import type { ContainerStatus, Pod, PodStatus } from '../types.ts'
import { humanDuration } from './cells.ts'
import { eventPrinter } from './event.ts'
import { nodePrinter } from './node.ts'
import { podPrinter } from './pod.ts'

const now = Date.parse('2026-01-02T00:00:00Z')

const aStatus = (fields: Partial<ContainerStatus>): ContainerStatus => ({
  name: 'main',
  ready: false,
  restartCount: 0,
  image: 'x',
  imageID: '',
  ...fields,
})
const running = (fields: Partial<ContainerStatus> = {}) => aStatus({ ready: true, state: { running: {} }, ...fields })

function aPod(status: PodStatus, fields: Partial<Pod> = {}): Pod {
  return {
    metadata: { name: 'p', creationTimestamp: '2026-01-01T23:59:55Z' },
    spec: {
      nodeName: 'n1',
      containers: [{ name: 'main' }],
      initContainers: [{ name: 'init' }, { name: 'side', restartPolicy: 'Always' }],
    },
    status: { phase: 'Running', ...status },
    ...fields,
  }
}

const row = (status: PodStatus, fields: Partial<Pod> = {}) => podPrinter.cells(aPod(status, fields), now).slice(1, 4)

describe('podPrinter', () => {
  const initDone = [
    aStatus({ name: 'init', state: { terminated: { exitCode: 0 } } }),
    running({ name: 'side', started: true }),
  ]

  it.each<[string, PodStatus, (string | number)[]]>([
    ['waits for a node', { phase: 'Pending' }, ['0/2', 'Pending', '0']],
    [
      'is gated',
      { phase: 'Pending', conditions: [{ type: 'PodScheduled', status: 'False', reason: 'SchedulingGated' }] },
      ['0/2', 'SchedulingGated', '0'],
    ],
    [
      'initializes',
      { phase: 'Pending', initContainerStatuses: [aStatus({ name: 'init', state: { running: {} } })] },
      ['0/2', 'Init:0/2', '0'],
    ],
    [
      'cannot pull for init',
      { initContainerStatuses: [aStatus({ name: 'init', state: { waiting: { reason: 'ErrImagePull' } } })] },
      ['0/2', 'Init:ErrImagePull', '0'],
    ],
    [
      'fails to initialize',
      { initContainerStatuses: [aStatus({ name: 'init', state: { terminated: { exitCode: 3 } } })] },
      ['0/2', 'Init:ExitCode:3', '0'],
    ],
    ['runs', { initContainerStatuses: initDone, containerStatuses: [running()] }, ['2/2', 'Running', '0']],
    [
      'crashes',
      {
        initContainerStatuses: initDone,
        containerStatuses: [
          aStatus({
            restartCount: 3,
            state: { waiting: { reason: 'CrashLoopBackOff' } },
            lastState: { terminated: { exitCode: 1, finishedAt: '2026-01-01T23:59:00Z' } },
          }),
        ],
      },
      ['1/2', 'CrashLoopBackOff', '3 (60s ago)'],
    ],
    [
      'is done',
      {
        phase: 'Succeeded',
        containerStatuses: [aStatus({ state: { terminated: { exitCode: 0, reason: 'Completed' } } })],
      },
      ['0/2', 'Completed', '0'],
    ],
    [
      'was killed',
      { phase: 'Failed', containerStatuses: [aStatus({ state: { terminated: { exitCode: 137, signal: 9 } } })] },
      ['0/2', 'Signal:9', '0'],
    ],
    ['was evicted', { phase: 'Failed', reason: 'Evicted' }, ['0/2', 'Evicted', '0']],
  ])('%s', (_name, status, expected) => expect(row(status)).toEqual(expected))

  it('is ending', () => {
    const metadata = { name: 'p', deletionTimestamp: '2026-01-02T00:00:30Z' }
    expect(row({ initContainerStatuses: initDone, containerStatuses: [running()] }, { metadata })).toEqual([
      '2/2',
      'Terminating',
      '0',
    ])
    expect(row({ reason: 'NodeLost' }, { metadata })).toEqual(['0/2', 'Unknown', '0'])
  })

  it('wide: address, node, readiness gates', () => {
    expect(podPrinter.cells(aPod({ podIP: '10.0.0.1' }), now).slice(4)).toEqual([
      '5s',
      '10.0.0.1',
      'n1',
      '<none>',
      '<none>',
    ])
  })
})

describe('other printers', () => {
  it('node: status, roles, versions', () => {
    const node = {
      metadata: {
        name: 'n',
        labels: { 'node-role.kubernetes.io/worker': '', 'node-role.kubernetes.io/control-plane': '' },
      },
      spec: { unschedulable: true },
      status: {
        conditions: [{ type: 'Ready', status: 'True' }],
        addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
      },
    }
    expect(nodePrinter.cells(node, now).slice(0, 3)).toEqual(['n', 'Ready,SchedulingDisabled', 'control-plane,worker'])
    expect(nodePrinter.cells({ metadata: { name: 'n' } }, now).slice(1, 4)).toEqual(['Unknown', '<none>', '<unknown>'])
  })

  it('event: last seen, object, message', () => {
    const event = {
      metadata: { name: 'e' },
      involvedObject: { kind: 'Pod', name: 'p' },
      lastTimestamp: '2026-01-01T23:58:00Z',
      type: 'Normal',
      reason: 'Pulled',
      message: 'done\n',
    }
    expect(eventPrinter.cells(event, now).slice(0, 4)).toEqual(['2m', 'Normal', 'Pulled', 'pod/p'])
    expect(eventPrinter.cells(event, now)[6]).toBe('done')
  })
})

describe('humanDuration', () => {
  const second = 1000
  const hour = 3600 * second
  it.each([
    [-5 * second, '<invalid>'],
    [0, '0s'],
    [119 * second, '119s'],
    [120 * second, '2m'],
    [312 * second, '5m12s'],
    [700 * second, '11m'],
    [3 * hour, '3h'],
    [5.5 * hour, '5h30m'],
    [30 * hour, '30h'],
    [51 * hour, '2d3h'],
    [400 * 24 * hour, '400d'],
    [(3 * 365 + 7) * 24 * hour, '3y7d'],
    [9 * 365 * 24 * hour, '9y'],
  ])('%d: %s', (milliseconds, expected) => expect(humanDuration(milliseconds)).toBe(expected))
})
