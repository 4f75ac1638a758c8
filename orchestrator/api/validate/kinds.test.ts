import { describe, expect, it } from 'vitest'
import type { Kind } from '../kinds/kind.ts'
import { builtInKinds } from '../kinds/table.ts'
import { decodeObject } from '../schema/decode.ts'
import type { KubeObject } from '../types.ts'

const user = { name: 'somebody', groups: ['a'] }

function kindOf(name: string): Kind {
  const kind = builtInKinds.find((each) => each.kind === name && !each.conversion)
  if (!kind) throw new Error(`no kind ${name}`)
  return kind
}

function decoded(kind: Kind, object: object): KubeObject {
  const made = decodeObject(kind.definition, { metadata: { name: 'x', namespace: 'default', uid: 'u' }, ...object })
    .value as KubeObject
  kind.strategy.setDefaults?.(made)
  return made
}

/** What is wrong with a new object of this kind, as its author reads it. */
function problems(name: string, object: object): string[] {
  const kind = kindOf(name)
  const made = decoded(kind, object)
  kind.strategy.beforeCreate?.(made, { user })
  return (kind.strategy.validate?.(made) ?? []).map(({ field, message }) => `${field}: ${message}`)
}

function updateProblems(name: string, old: object, next: object): string[] {
  const kind = kindOf(name)
  const found = kind.strategy.validateUpdate?.(decoded(kind, next), decoded(kind, old)) ?? []
  return found.map(({ field, message }) => `${field}: ${message}`)
}

const labels = { app: 'x' }
const selector = { matchLabels: labels }
const template = (spec: object = {}, more: object = labels) => ({
  metadata: { labels: more },
  spec: { containers: [{ name: 'a', image: 'a' }], ...spec },
})
const once = { restartPolicy: 'Never' }

/** A good object of each kind, as small as it can be. */
const good: Record<string, object> = {
  Deployment: { spec: { selector, template: template() } },
  ReplicaSet: { spec: { selector, template: template() } },
  StatefulSet: { spec: { selector, template: template(), serviceName: 's' } },
  DaemonSet: { spec: { selector, template: template() } },
  ReplicationController: { spec: { template: template() } },
  ControllerRevision: { data: { a: 1 }, revision: 1 },
  PodTemplate: { template: template() },
  Job: { spec: { template: template(once) } },
  CronJob: { spec: { schedule: '*/5 * * * *', jobTemplate: { spec: { template: template(once) } } } },
  HorizontalPodAutoscaler: { spec: { scaleTargetRef: { kind: 'Deployment', name: 'd' }, maxReplicas: 3 } },
  PodDisruptionBudget: { spec: { minAvailable: '50%', selector } },
  Ingress: {
    spec: {
      rules: [
        {
          host: 'a.b',
          http: {
            paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 's', port: { number: 80 } } } }],
          },
        },
      ],
    },
  },
  IngressClass: { spec: { controller: 'example.com/ingress' } },
  NetworkPolicy: {
    spec: { podSelector: {}, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' } }], ports: [{ port: 80 }] }] },
  },
  Role: { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] },
  ClusterRole: { rules: [{ nonResourceURLs: ['/metrics'], verbs: ['get'] }] },
  RoleBinding: {
    roleRef: { kind: 'Role', name: 'r', apiGroup: '' },
    subjects: [
      { kind: 'User', name: 'u' },
      { kind: 'ServiceAccount', name: 's' },
    ],
  },
  ClusterRoleBinding: {
    roleRef: { kind: 'ClusterRole', name: 'r', apiGroup: '' },
    subjects: [{ kind: 'Group', name: 'g' }],
  },
  StorageClass: { provisioner: 'example.com/disks' },
  CSIDriver: { metadata: { name: 'disks.example.com' }, spec: {} },
  CSINode: { spec: { drivers: [{ name: 'disks.example.com', nodeID: 'n' }] } },
  CSIStorageCapacity: { storageClassName: 's', capacity: '1Gi' },
  VolumeAttachment: { spec: { attacher: 'disks.example.com', nodeName: 'n', source: { persistentVolumeName: 'v' } } },
  VolumeAttributesClass: { driverName: 'disks.example.com', parameters: { speed: 'high' } },
  PriorityClass: { value: 1000 },
  RuntimeClass: { handler: 'runc' },
  LimitRange: { spec: { limits: [{ type: 'Container', max: { cpu: '2' }, min: { cpu: '100m' } }] } },
  ResourceQuota: { spec: { hard: { pods: '10', 'requests.cpu': '4', 'count/jobs.batch': '3' } } },
  PersistentVolume: {
    spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/x' } },
  },
  PersistentVolumeClaim: { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } },
  IPAddress: { metadata: { name: '10.0.0.1' }, spec: { parentRef: { resource: 'services', name: 's' } } },
  ServiceCIDR: { spec: { cidrs: ['10.96.0.0/16'] } },
}

describe('good objects', () => {
  it.each(Object.keys(good))('%s: nothing is wrong', (name) => {
    expect(problems(name, good[name] ?? {})).toEqual([])
  })
})

describe('bad objects, in the words of Kubernetes', () => {
  const selects = { ...selector, matchLabels: { app: 'y' } }
  const cases: [string, object, string][] = [
    ['ConfigMap', { data: { a: 'x'.repeat(2 ** 20 + 1) } }, '[]: Too long: may not be more than 1048576 bytes'],
    [
      'Deployment',
      { spec: { selector: selects, template: template() } },
      'spec.template.metadata.labels: Invalid value: {"app":"x"}: `selector` does not match template `labels`',
    ],
    [
      'Deployment',
      { spec: { selector, template: template(), replicas: -1 } },
      'spec.replicas: Invalid value: -1: must be greater than or equal to 0',
    ],
    [
      'Deployment',
      { spec: { selector, template: template(once) } },
      'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
    ],
    [
      'Deployment',
      { spec: { selector, template: { metadata: { labels }, spec: { containers: [] } } } },
      'spec.template.spec.containers: Required value',
    ],
    [
      'Deployment',
      { spec: { selector, template: template(), strategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 0 } } } },
      'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0',
    ],
    [
      'Deployment',
      { spec: { selector, template: template(), strategy: { type: 'Recreate', rollingUpdate: {} } } },
      "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ],
    [
      'DaemonSet',
      { spec: { selector, template: template(), updateStrategy: { rollingUpdate: { maxSurge: 1 } } } },
      'spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero',
    ],
    [
      'StatefulSet',
      { spec: { selector, template: template(), podManagementPolicy: 'x' } },
      'spec.podManagementPolicy: Unsupported value: "x": supported values: "OrderedReady", "Parallel"',
    ],
    [
      'Job',
      { spec: { template: template() } },
      'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ],
    [
      'Job',
      { spec: { template: template(once), completionMode: 'Indexed', parallelism: 1 } },
      'spec.completions: Required value: when completion mode is Indexed',
    ],
    [
      'CronJob',
      { spec: { schedule: '61 * * * *', jobTemplate: { spec: { template: template(once) } } } },
      'spec.schedule: Invalid value: "61 * * * *"',
    ],
    [
      'CronJob',
      { spec: { schedule: 'TZ=UTC 1 * * * *', jobTemplate: { spec: { template: template(once) } } } },
      'spec.schedule: Invalid value: "TZ=UTC 1 * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead',
    ],
    [
      'CronJob',
      { spec: { schedule: '@hourly', timeZone: 'Mars/Base', jobTemplate: { spec: { template: template(once) } } } },
      'spec.timeZone: Invalid value: "Mars/Base": unknown time zone Mars/Base',
    ],
    [
      'HorizontalPodAutoscaler',
      { spec: { scaleTargetRef: { kind: 'D', name: 'd' }, maxReplicas: 0 } },
      'spec.maxReplicas: Invalid value: 0: must be greater than 0',
    ],
    [
      'HorizontalPodAutoscaler',
      { spec: { scaleTargetRef: { kind: 'D', name: 'd' }, maxReplicas: 3, metrics: [{ type: 'Resource' }] } },
      'spec.metrics[0].resource: Required value: must populate information for the given metric source',
    ],
    [
      'PodDisruptionBudget',
      { spec: { minAvailable: 1, maxUnavailable: 1 } },
      'minAvailable and maxUnavailable cannot be both set',
    ],
    ['Ingress', { spec: {} }, 'spec: Invalid value: []: either `defaultBackend` or `rules` must be specified'],
    [
      'Ingress',
      {
        spec: {
          rules: [
            {
              http: {
                paths: [{ path: 'a', pathType: 'Exact', backend: { service: { name: 's', port: { number: 1 } } } }],
              },
            },
          ],
        },
      },
      'spec.rules[0].http.paths[0].path: Invalid value: "a": must be an absolute path',
    ],
    [
      'NetworkPolicy',
      { spec: { podSelector: {}, ingress: [{ from: [{}] }] } },
      'spec.ingress[0].from[0]: Required value: must specify a peer',
    ],
    [
      'NetworkPolicy',
      { spec: { podSelector: {}, egress: [{ ports: [{ port: 90, endPort: 80 }] }] } },
      'spec.egress[0].ports[0].endPort: Invalid value: 80: must be greater than or equal to `port`',
    ],
    [
      'Role',
      { rules: [{ apiGroups: [''], resources: ['pods'], verbs: [] }] },
      'rules[0].verbs: Required value: verbs must contain at least one value',
    ],
    [
      'Role',
      { rules: [{ nonResourceURLs: ['/x'], verbs: ['get'] }] },
      'rules[0].nonResourceURLs: Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
    ],
    [
      'ClusterRoleBinding',
      { roleRef: { kind: 'Role', name: 'r', apiGroup: '' } },
      'roleRef.kind: Unsupported value: "Role": supported values: "ClusterRole"',
    ],
    [
      'ClusterRoleBinding',
      { roleRef: { kind: 'ClusterRole', name: 'r', apiGroup: '' }, subjects: [{ kind: 'ServiceAccount', name: 's' }] },
      'subjects[0].namespace: Required value',
    ],
    ['StorageClass', { provisioner: '' }, 'provisioner: Required value'],
    [
      'PriorityClass',
      { value: 2_000_000_000 },
      'value: Forbidden: maximum allowed value of a user defined priority is 1000000000',
    ],
    [
      'PriorityClass',
      { metadata: { name: 'system-mine' }, value: 1 },
      "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved",
    ],
    ['RuntimeClass', { handler: 'Not_A_Label' }, 'handler: Invalid value: "Not_A_Label"'],
    [
      'LimitRange',
      { spec: { limits: [{ type: 'Container', max: { cpu: '1' }, min: { cpu: '2' } }] } },
      'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
    ],
    [
      'ResourceQuota',
      { spec: { hard: { pods: '-1' } } },
      'spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0',
    ],
    [
      'PersistentVolume',
      { spec: { capacity: { storage: '1Gi' }, accessModes: [], hostPath: { path: '/x' } } },
      'spec.accessModes: Required value: at least 1 access mode is required',
    ],
    [
      'PersistentVolume',
      { spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'] } },
      'spec: Required value: must specify a volume type',
    ],
    ['PersistentVolumeClaim', { spec: { accessModes: ['ReadWriteOnce'] } }, 'spec.resources[storage]: Required value'],
    [
      'ServiceCIDR',
      { spec: { cidrs: ['10.0.0.0'] } },
      'spec.cidrs[0]: Invalid value: "10.0.0.0": must be a valid CIDR value',
    ],
    [
      'CertificateSigningRequest',
      { spec: { request: 'eA==', signerName: 'example.com/x', usages: ['client auth'] } },
      'spec.request: Invalid value: "eA==": PEM block type must be CERTIFICATE REQUEST',
    ],
  ]
  it.each(cases)('%s %#', (name, object, message) => {
    expect(problems(name, object).join('\n')).toContain(message)
  })
})

describe('updates that are refused', () => {
  const cases: [string, object, string][] = [
    [
      'Deployment',
      { spec: { selector: { matchLabels: { app: 'x', b: 'c' } }, template: template({}, { app: 'x', b: 'c' }) } },
      'field is immutable',
    ],
    [
      'StatefulSet',
      { spec: { selector, template: template(), serviceName: 'other' } },
      "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
    ],
    ['Job', { spec: { template: template({ ...once, hostname: 'h' }) } }, 'spec.template: Invalid value'],
    ['RoleBinding', { roleRef: { kind: 'Role', name: 'other', apiGroup: '' } }, 'cannot change roleRef'],
    [
      'StorageClass',
      { provisioner: 'example.com/other' },
      'provisioner: Forbidden: updates to provisioner are forbidden.',
    ],
    ['PriorityClass', { value: 1 }, 'value: Forbidden: may not be changed in an update.'],
    [
      'PersistentVolume',
      { spec: { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'], hostPath: { path: '/y' } } },
      'spec.persistentvolumesource is immutable after creation',
    ],
    [
      'PersistentVolumeClaim',
      { spec: { accessModes: ['ReadWriteMany'], resources: { requests: { storage: '1Gi' } } } },
      'spec is immutable after creation',
    ],
    [
      'IngressClass',
      { spec: { controller: 'example.com/other' } },
      'spec.controller: Invalid value: "example.com/other": field is immutable',
    ],
  ]
  it.each(cases)('%s %#', (name, next, message) => {
    expect(updateProblems(name, good[name] ?? {}, next).join('\n')).toContain(message)
    expect(updateProblems(name, good[name] ?? {}, good[name] ?? {})).toEqual([])
  })
})

describe('what the server writes', () => {
  it('Job: labels and a selector that no other Job has', () => {
    const kind = kindOf('Job')
    const job = decoded(kind, good.Job ?? {}) as KubeObject & {
      spec: { selector: object; template: { metadata: object } }
    }
    kind.strategy.beforeCreate?.(job, { user })
    expect(job.spec.selector).toEqual({ matchLabels: { 'batch.kubernetes.io/controller-uid': 'u' } })
    expect(job.spec.template.metadata).toMatchObject({ labels: { 'job-name': 'x', 'controller-uid': 'u' } })
  })

  it('CertificateSigningRequest: who asks', () => {
    const kind = kindOf('CertificateSigningRequest')
    const spec = { request: '', signerName: 'a.b/c', username: 'root', groups: ['system:masters'] }
    const request = decoded(kind, { spec: { ...spec, uid: 'r', extra: { a: ['b'] } } })
    kind.strategy.beforeCreate?.(request, { user })
    expect((request as KubeObject & { spec: object }).spec).toEqual({
      request: '',
      signerName: 'a.b/c',
      username: 'somebody',
      groups: ['a'],
    })
    const known = { ...user, uid: 'u', extra: { 'a.org/b': ['c', 'd'] } }
    kind.strategy.beforeCreate?.(request, { user: known })
    expect(request).toMatchObject({ spec: { uid: 'u', extra: { 'a.org/b': ['c', 'd'] } } })
  })

  it('LimitRange: a limit from the largest, a request from the limit', () => {
    const { spec } = decoded(kindOf('LimitRange'), good.LimitRange ?? {}) as KubeObject & { spec: object }
    expect(spec).toMatchObject({ limits: [{ default: { cpu: '2' }, defaultRequest: { cpu: '2' } }] })
  })
})
