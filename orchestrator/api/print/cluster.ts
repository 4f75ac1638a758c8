/** Classes, roles, limits, requests for certificates. Source: k8s.io/kubernetes/pkg/printers/internalversion/printers.go. */
import type { Column, Printer } from '../kinds/kind.ts'
import type {
  CertificateSigningRequest,
  ClusterRoleBinding,
  HorizontalPodAutoscaler,
  KubeObject,
  PodDisruptionBudget,
  PriorityClass,
  ResourceQuota,
  RoleBinding,
  RuntimeClass,
} from '../types.ts'
import { ageColumn, ageOf, column, humanDuration, nameColumn } from './cells.ts'

const nameOf = ({ metadata }: KubeObject) => metadata?.name ?? ''

/** For kinds of which only the birth is shown, as a date. */
export const createdAtPrinter: Printer = {
  columns: [nameColumn, { name: 'Created At', type: 'date', description: 'When the object was made' }],
  cells: (object) => [nameOf(object), object.metadata?.creationTimestamp ?? ''],
}

export const bindingPrinter: Printer<RoleBinding | ClusterRoleBinding> = {
  columns: [
    nameColumn,
    column('Role', 'What is granted'),
    ageColumn,
    column('Users', 'To which users', 'wide'),
    column('Groups', 'To which groups', 'wide'),
    column('ServiceAccounts', 'To which service accounts', 'wide'),
  ],
  cells: (binding, now) => {
    const subjects = binding.subjects ?? []
    const named = (kind: string) => subjects.filter((each) => each.kind === kind)
    return [
      nameOf(binding),
      `${binding.roleRef.kind}/${binding.roleRef.name}`,
      ageOf(binding, now),
      named('User')
        .map(({ name }) => name)
        .join(', '),
      named('Group')
        .map(({ name }) => name)
        .join(', '),
      named('ServiceAccount')
        .map(({ name, namespace }) => `${namespace}/${name}`)
        .join(', '),
    ]
  },
}

const number = (name: string, description: string): Column => ({ name, type: 'integer', description })

export const priorityClassPrinter: Printer<PriorityClass> = {
  columns: [
    nameColumn,
    number('Value', 'How important its pods are'),
    { name: 'Global-Default', type: 'boolean', description: 'Whether pods without a class have it' },
    ageColumn,
    column('PreemptionPolicy', 'Whether its pods push others away'),
  ],
  cells: (each, now) => [
    nameOf(each),
    each.value ?? 0,
    each.globalDefault ?? false,
    ageOf(each, now),
    each.preemptionPolicy ?? 'PreemptLowerPriority',
  ],
}

export const runtimeClassPrinter: Printer<RuntimeClass> = {
  columns: [nameColumn, column('Handler', 'Which runtime it stands for'), ageColumn],
  cells: (each, now) => [nameOf(each), each.handler, ageOf(each, now)],
}

export const disruptionBudgetPrinter: Printer<PodDisruptionBudget> = {
  columns: [
    nameColumn,
    column('Min Available', 'How many pods have to stay'),
    column('Max Unavailable', 'How many pods may go'),
    number('Allowed Disruptions', 'How many may go now'),
    ageColumn,
  ],
  cells: (budget, now) => [
    nameOf(budget),
    String(budget.spec?.minAvailable ?? 'N/A'),
    String(budget.spec?.maxUnavailable ?? 'N/A'),
    budget.status?.disruptionsAllowed ?? 0,
    ageOf(budget, now),
  ],
}

export const resourceQuotaPrinter: Printer<ResourceQuota> = {
  columns: [
    nameColumn,
    column('Request', 'What is used of the requests'),
    column('Limit', 'What is used of the limits'),
    ageColumn,
  ],
  cells: (quota, now) => {
    const { hard = {}, used = {} } = quota.status ?? {}
    const texts = Object.keys(hard)
      .sort()
      .map((name) => ({ name, text: `${name}: ${used[name] ?? '0'}/${hard[name]}` }))
    const isLimit = ({ name }: { name: string }) => name.startsWith('limits.')
    return [
      nameOf(quota),
      texts
        .filter((each) => !isLimit(each))
        .map(({ text }) => text)
        .join(', '),
      texts
        .filter(isLimit)
        .map(({ text }) => text)
        .join(', '),
      ageOf(quota, now),
    ]
  },
}

export const signingRequestPrinter: Printer<CertificateSigningRequest> = {
  columns: [
    nameColumn,
    ageColumn,
    column('SignerName', 'Who is to sign'),
    column('Requestor', 'Who asks'),
    column('RequestedDuration', 'For how long'),
    column('Condition', 'What has become of it'),
  ],
  cells: (request, now) => {
    const seconds = request.spec.expirationSeconds
    return [
      nameOf(request),
      ageOf(request, now),
      request.spec.signerName || '<none>',
      request.spec.username ?? '',
      seconds === undefined ? '<none>' : humanDuration(seconds * 1000),
      conditionText(request),
    ]
  },
}

function conditionText({ status = {} }: CertificateSigningRequest): string {
  const types = (status.conditions ?? []).map(({ type }) => type)
  const shown = types.filter((type) => ['Approved', 'Denied', 'Failed'].includes(type))
  if (shown.length === 0) return 'Pending'
  return [...shown, ...(status.certificate ? ['Issued'] : [])].join(',')
}

const shownMetrics = 2

export const autoscalerPrinter: Printer<HorizontalPodAutoscaler> = {
  columns: [
    nameColumn,
    column('Reference', 'What is scaled'),
    column('Targets', 'What is measured, and what it should be'),
    column('MinPods', 'At least'),
    column('MaxPods', 'At most'),
    column('Replicas', 'Now'),
    ageColumn,
  ],
  cells: (scaler, now) => {
    const { scaleTargetRef, minReplicas, maxReplicas } = scaler.spec
    return [
      nameOf(scaler),
      `${scaleTargetRef.kind}/${scaleTargetRef.name}`,
      targetsOf(scaler),
      minReplicas === undefined ? '<unset>' : String(minReplicas),
      maxReplicas,
      scaler.status?.currentReplicas ?? 0,
      ageOf(scaler, now),
    ]
  },
}

type Metric = NonNullable<HorizontalPodAutoscaler['spec']['metrics']>[number]
type Current = NonNullable<NonNullable<HorizontalPodAutoscaler['status']>['currentMetrics']>[number]

function targetsOf({ spec, status }: HorizontalPodAutoscaler): string {
  const metrics = spec.metrics ?? []
  if (metrics.length === 0) return '<none>'
  const texts = metrics.map((metric, at) => metricText(metric, status?.currentMetrics?.[at]))
  const shown = texts.slice(0, shownMetrics).join(', ')
  return texts.length > shownMetrics ? `${shown} + ${texts.length - shownMetrics} more...` : shown
}

function metricText(metric: Metric, current: Current | undefined): string {
  const { resource, containerResource, pods, object, external } = metric
  const target = (resource ?? containerResource ?? pods ?? object ?? external)?.target
  const source =
    current?.resource ?? current?.containerResource ?? current?.pods ?? current?.object ?? current?.external
  const now = source?.current
  const name = resource ? `${resource.name}: ` : containerResource ? `${containerResource.name}: ` : ''
  if (target?.averageUtilization !== undefined) {
    return `${name}${now?.averageUtilization === undefined ? '<unknown>' : `${now.averageUtilization}%`}/${target.averageUtilization}%`
  }
  if (target?.averageValue !== undefined) {
    const suffix = object || external ? ' (avg)' : ''
    return `${name}${now?.averageValue ?? '<unknown>'}/${target.averageValue}${suffix}`
  }
  return `${name}${now?.value ?? '<unknown>'}/${target?.value ?? '<auto>'}`
}
