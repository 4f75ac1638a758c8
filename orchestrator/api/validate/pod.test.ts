import { describe, expect, it } from 'vitest'
import { setPodDefaults } from '../defaults/pod.ts'
import type { Container, Pod, PodSpec } from '../types.ts'
import { validatePod } from './pod.ts'
import { validatePodUpdate } from './pod-update.ts'

const aContainer = (fields: Partial<Container> = {}): Container => ({ name: 'main', image: 'busybox:1', ...fields })

function aPod(spec: Partial<PodSpec> = {}): Pod {
  const pod: Pod = { metadata: { name: 'p', namespace: 'default' }, spec: { containers: [aContainer()], ...spec } }
  setPodDefaults(pod)
  return pod
}

const problemsOf = (spec: Partial<PodSpec>) =>
  validatePod(aPod(spec)).map(({ field, message }) => `${field}: ${message}`)
const withContainer = (fields: Partial<Container>) => ({ containers: [aContainer(fields)] })

describe('validatePod', () => {
  it('accepts an ordinary pod', () => {
    const spec = {
      initContainers: [
        aContainer({ name: 'init', restartPolicy: 'Always', readinessProbe: { tcpSocket: { port: 80 } } }),
      ],
      volumes: [
        { name: 'v', emptyDir: {} },
        { name: 'c', configMap: { name: 'c' } },
      ],
      containers: [
        aContainer({
          ports: [{ name: 'http', containerPort: 80 }],
          env: [
            { name: 'NODE', valueFrom: { fieldRef: { fieldPath: 'spec.nodeName' } } },
            { name: 'L', valueFrom: { fieldRef: { fieldPath: "metadata.labels['a']" } } },
          ],
          volumeMounts: [{ name: 'v', mountPath: '/v' }],
          resources: { limits: { cpu: '1', memory: '64Mi', 'example.com/gpu': '1' }, requests: { cpu: '500m' } },
          livenessProbe: { httpGet: { port: 'http' } },
        }),
      ],
      tolerations: [{ operator: 'Exists' }],
    }
    expect(problemsOf(spec)).toEqual([])
  })

  it.each<[string, Partial<PodSpec>]>([
    ['spec.containers: Required value', { containers: [] }],
    ['spec.containers[0].image: Required value', withContainer({ image: '' })],
    ['spec.containers[0].name: Required value', withContainer({ name: '' })],
    ['spec.containers[1].name: Duplicate value: "main"', { containers: [aContainer(), aContainer()] }],
    ['spec.containers[0].name: Duplicate value: "main"', { initContainers: [aContainer()] }],
    ['spec.volumes[1].name: Duplicate value: "v"', { volumes: [{ name: 'v' }, { name: 'v' }] }],
    [
      'spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type',
      { volumes: [{ name: 'v', emptyDir: {}, secret: { secretName: 's' } }] },
    ],
    ['spec.volumes[0].hostPath.path: Required value', { volumes: [{ name: 'v', hostPath: { path: '' } }] }],
    [
      'spec.containers[0].volumeMounts[0].name: Not found: "none"',
      withContainer({ volumeMounts: [{ name: 'none', mountPath: '/a' }] }),
    ],
    [
      'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
      { restartPolicy: 'Sometimes' },
    ],
    [
      'spec.containers[0].imagePullPolicy: Unsupported value: "Maybe": supported values: "Always", "IfNotPresent", "Never"',
      withContainer({ imagePullPolicy: 'Maybe' }),
    ],
    [
      'spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive',
      withContainer({ ports: [{ containerPort: 70000 }] }),
    ],
    [
      'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//80"',
      withContainer({
        ports: [
          { containerPort: 1, hostPort: 80 },
          { containerPort: 2, hostPort: 80 },
        ],
      }),
    ],
    [
      'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
      withContainer({ resources: { limits: { cpu: '1' }, requests: { cpu: '2' } } }),
    ],
    [
      'spec.containers[0].resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
      withContainer({ resources: { limits: { cpu: '-1' }, requests: { cpu: '-1' } } }),
    ],
    [
      'spec.containers[0].resources.limits[example.com/gpu]: Invalid value: "500m": must be an integer',
      withContainer({ resources: { limits: { 'example.com/gpu': '500m' } } }),
    ],
    ['spec.containers[0].env[0].name: Required value', withContainer({ env: [{ name: '', value: 'x' }] })],
    [
      'spec.containers[0].env[0].name: Invalid value: "a=b": a valid environment variable name must consist only of printable ASCII characters other than \'=\'',
      withContainer({ env: [{ name: 'a=b' }] }),
    ],
    [
      'spec.containers[0].env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
      withContainer({ env: [{ name: 'A', value: 'x', valueFrom: { configMapKeyRef: { name: 'c', key: 'k' } } }] }),
    ],
    [
      'spec.containers[0].livenessProbe: Required value: must specify a handler type',
      withContainer({ livenessProbe: {} }),
    ],
    [
      'spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1',
      withContainer({ livenessProbe: { tcpSocket: { port: 1 }, successThreshold: 2 } }),
    ],
    [
      'spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without restartPolicy=Always',
      { initContainers: [aContainer({ name: 'i', livenessProbe: { tcpSocket: { port: 1 } } })] },
    ],
    [
      'spec.dnsConfig: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None',
      { dnsPolicy: 'None' },
    ],
    [
      'spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive',
      { activeDeadlineSeconds: 0 },
    ],
    [
      'spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater than or equal to 0',
      { terminationGracePeriodSeconds: -1 },
    ],
    [
      'spec.tolerations[0].operator: Invalid value: "x": value must be empty when `operator` is \'Exists\'',
      { tolerations: [{ key: 'a', operator: 'Exists', value: 'x' }] },
    ],
    [
      'spec.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled',
      { shareProcessNamespace: true, hostPID: true },
    ],
  ])('%s', (expected, spec) => expect(problemsOf(spec)).toContain(expected))
})

describe('validatePodUpdate', () => {
  const update = (change: (spec: PodSpec) => void, before: Partial<PodSpec> = {}) => {
    const old = aPod(before)
    const pod = structuredClone(old)
    if (pod.spec) change(pod.spec)
    return validatePodUpdate(pod, old).map(({ field, message }) => `${field}: ${message.slice(0, 55)}`)
  }
  const fixed = ['spec: Forbidden: pod updates may not change fields other than']

  it('an image, more tolerations and a shorter deadline may change', () => {
    expect(update((spec) => Object.assign(spec.containers[0] ?? {}, { image: 'busybox:2' }))).toEqual([])
    expect(update((spec) => Object.assign(spec, { tolerations: [{ key: 'a', operator: 'Exists' }] }))).toEqual([])
    expect(update((spec) => Object.assign(spec, { activeDeadlineSeconds: 5 }), { activeDeadlineSeconds: 10 })).toEqual(
      [],
    )
  })

  it('nothing else may', () => {
    expect(update((spec) => Object.assign(spec, { nodeName: 'n' }))).toEqual(fixed)
    expect(update((spec) => Object.assign(spec.containers[0] ?? {}, { command: ['x'] }))).toEqual(fixed)
    expect(update((spec) => Object.assign(spec.containers[0] ?? {}, { image: '' }))).toEqual(fixed)
    expect(update((spec) => spec.containers.push(aContainer({ name: 'b' })))).toEqual([
      'spec.containers: Forbidden: pod updates may not add or remove containers',
    ])
    expect(
      update((spec) => Object.assign(spec, { activeDeadlineSeconds: 20 }), { activeDeadlineSeconds: 10 }),
    ).toHaveLength(1)
  })
})
