/** Source: `printDeployment` and its neighbours in k8s.io/kubernetes/pkg/printers/internalversion/printers.go. */
import type { Cell, Column, Printer } from '../kinds/kind.ts'
import { formatLabelSelector, fromSelectorFields } from '../selectors/label.ts'
import type {
  ControllerRevision,
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  KubeObject,
  LabelSelector,
  PodTemplate,
  PodTemplateSpec,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from '../types.ts'
import { ageColumn, ageOf, column, humanDuration, nameColumn, since } from './cells.ts'

/** A whole number. */
function count(name: string, description: string): Column {
  return { name, type: 'integer', description }
}

const containersColumn = column('Containers', 'Names of each container in the template', 'wide')
const imagesColumn = column('Images', 'Images referenced by each container in the template', 'wide')
const selectorColumn = column('Selector', 'Label selector of the pods', 'wide')
const templateColumns = [containersColumn, imagesColumn, selectorColumn]

function containerCells(template: PodTemplateSpec | undefined): Cell[] {
  const containers = template?.spec?.containers ?? []
  return [containers.map(({ name }) => name).join(','), containers.map(({ image }) => image ?? '').join(',')]
}

function selectorText(selector: LabelSelector | undefined): string {
  return selector ? formatLabelSelector(fromSelectorFields(selector)) : '<none>'
}

const nameOf = ({ metadata }: KubeObject) => metadata?.name ?? ''

export const deploymentPrinter: Printer<Deployment> = {
  columns: [
    nameColumn,
    column('Ready', 'Number of the pod with ready state'),
    column('Up-to-date', 'Pods of the newest template'),
    column('Available', 'Pods that have been ready for long enough'),
    ageColumn,
    ...templateColumns,
  ],
  cells: (deployment, now) => {
    const { spec, status = {} } = deployment
    return [
      nameOf(deployment),
      `${status.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
      String(status.updatedReplicas ?? 0),
      String(status.availableReplicas ?? 0),
      ageOf(deployment, now),
      ...containerCells(spec?.template),
      selectorText(spec?.selector),
    ]
  },
}

const replicaColumns = [
  nameColumn,
  count('Desired', 'How many pods are wanted'),
  count('Current', 'How many pods there are'),
  count('Ready', 'How many of them are ready'),
  ageColumn,
  ...templateColumns,
]

export const replicaSetPrinter: Printer<ReplicaSet> = {
  columns: replicaColumns,
  cells: (set, now) => [
    nameOf(set),
    set.spec?.replicas ?? 0,
    set.status?.replicas ?? 0,
    set.status?.readyReplicas ?? 0,
    ageOf(set, now),
    ...containerCells(set.spec?.template),
    selectorText(set.spec?.selector),
  ],
}

export const replicationControllerPrinter: Printer<ReplicationController> = {
  columns: replicaColumns,
  cells: (controller, now) => [
    nameOf(controller),
    controller.spec?.replicas ?? 0,
    controller.status?.replicas ?? 0,
    controller.status?.readyReplicas ?? 0,
    ageOf(controller, now),
    ...containerCells(controller.spec?.template),
    selectorText({ matchLabels: controller.spec?.selector ?? {} }),
  ],
}

export const statefulSetPrinter: Printer<StatefulSet> = {
  columns: [
    nameColumn,
    column('Ready', 'Number of the pod with ready state'),
    ageColumn,
    containersColumn,
    imagesColumn,
  ],
  cells: (set, now) => [
    nameOf(set),
    `${set.status?.readyReplicas ?? 0}/${set.spec?.replicas ?? 0}`,
    ageOf(set, now),
    ...containerCells(set.spec?.template),
  ],
}

export const daemonSetPrinter: Printer<DaemonSet> = {
  columns: [
    nameColumn,
    count('Desired', 'Nodes that should run a pod'),
    count('Current', 'Nodes that run at least one pod and should'),
    count('Ready', 'Nodes whose pod is ready'),
    count('Up-to-date', 'Nodes whose pod is of the newest template'),
    count('Available', 'Nodes whose pod has been ready for long enough'),
    column('Node Selector', 'Which nodes are meant'),
    ageColumn,
    ...templateColumns,
  ],
  cells: (set, now) => {
    const { spec, status } = set
    const nodes = Object.entries(spec?.template.spec?.nodeSelector ?? {}).map(([key, value]) => `${key}=${value}`)
    return [
      nameOf(set),
      status?.desiredNumberScheduled ?? 0,
      status?.currentNumberScheduled ?? 0,
      status?.numberReady ?? 0,
      status?.updatedNumberScheduled ?? 0,
      status?.numberAvailable ?? 0,
      nodes.sort().join(',') || '<none>',
      ageOf(set, now),
      ...containerCells(spec?.template),
      selectorText(spec?.selector),
    ]
  },
}

export const controllerRevisionPrinter: Printer<ControllerRevision> = {
  columns: [
    nameColumn,
    column('Controller', 'Whose revision it is'),
    count('Revision', 'The number of the revision'),
    ageColumn,
  ],
  cells: (revision, now) => {
    const owner = revision.metadata?.ownerReferences?.find(({ controller }) => controller)
    const group = owner?.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : ''
    return [
      nameOf(revision),
      owner ? `${owner.kind.toLowerCase()}${group}/${owner.name}` : '<none>',
      revision.revision,
      ageOf(revision, now),
    ]
  },
}

export const podTemplatePrinter: Printer<PodTemplate> = {
  columns: [
    nameColumn,
    column('Containers', 'Names of each container in the template'),
    column('Images', 'Images referenced by each container in the template'),
    column('Pod Labels', 'The labels of the pods'),
  ],
  cells: (pods) => {
    const labels = Object.entries(pods.template?.metadata?.labels ?? {}).map(([key, value]) => `${key}=${value}`)
    return [nameOf(pods), ...containerCells(pods.template), labels.sort().join(',') || '<none>']
  },
}

export const jobPrinter: Printer<Job> = {
  columns: [
    nameColumn,
    column('Status', 'How the job is'),
    column('Completions', 'How many pods have succeeded of how many'),
    column('Duration', 'How long it took, or has taken'),
    ageColumn,
    ...templateColumns,
  ],
  cells: (job, now) => [
    nameOf(job),
    jobStatus(job),
    completionsOf(job),
    durationOf(job, now),
    ageOf(job, now),
    ...containerCells(job.spec?.template),
    selectorText(job.spec?.selector),
  ],
}

function jobStatus({ metadata, status = {} }: Job): string {
  const holds = (type: string) => status.conditions?.some((each) => each.type === type && each.status === 'True')
  if (holds('Complete')) return 'Complete'
  if (holds('Failed')) return 'Failed'
  if (metadata?.deletionTimestamp) return 'Terminating'
  if (holds('Suspended')) return 'Suspended'
  if (holds('FailureTarget')) return 'FailureTarget'
  return holds('SuccessCriteriaMet') ? 'SuccessCriteriaMet' : 'Running'
}

function completionsOf({ spec = { template: {} }, status = {} }: Job): string {
  const { completions, parallelism = 1 } = spec
  if (completions !== undefined) return `${status.succeeded ?? 0}/${completions}`
  return parallelism > 1 ? `${status.succeeded ?? 0}/1 of ${parallelism}` : `${status.succeeded ?? 0}/1`
}

function durationOf({ status = {} }: Job, now: number): string {
  const { startTime, completionTime } = status
  if (!startTime) return ''
  return humanDuration((completionTime ? Date.parse(completionTime) : now) - Date.parse(startTime))
}

export const cronJobPrinter: Printer<CronJob> = {
  columns: [
    nameColumn,
    column('Schedule', 'When it runs'),
    column('Timezone', 'In which time zone'),
    { name: 'Suspend', type: 'boolean', description: 'Whether it is halted' },
    count('Active', 'How many jobs of it run'),
    column('Last Schedule', 'When it last ran'),
    ageColumn,
    ...templateColumns,
  ],
  cells: (cron, now) => {
    const { spec, status } = cron
    const job = spec?.jobTemplate.spec
    const last = status?.lastScheduleTime
    return [
      nameOf(cron),
      spec?.schedule ?? '',
      spec?.timeZone ?? '<none>',
      spec?.suspend ? 'True' : 'False',
      status?.active?.length ?? 0,
      last ? since(last, now) : '<none>',
      ageOf(cron, now),
      ...containerCells(job?.template),
      selectorText(job?.selector),
    ]
  },
}
