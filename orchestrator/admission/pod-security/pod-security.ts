/** Source: k8s.io/pod-security-admission/admission, KEP-2579. */
import { namespaceKind } from '../../api/kinds/namespace.ts'
import { podKind } from '../../api/kinds/pod.ts'
import { forbidden, invalid } from '../../api/status.ts'
import type { KubeObject, ObjectMeta, Pod } from '../../api/types.ts'
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import type { StoredObjects } from '../stored-objects.ts'
import type { PodSpec } from './control.ts'
import { violationsOf, violationsText } from './evaluate.ts'
import { exemptionOf, type PodSecurityConfig, vainLabels } from './exemptions.ts'
import { isStricter, type Policy, policyOf, policyProblems, prefix, type Standard, standardText } from './policy.ts'

/**
 * Holds pods to the standard that their namespace enforces, and warns (and notes in the audit log) what the ones for
 * warnings and audits forbid: about pods, workloads that make pods, and pods that are there when a namespace becomes
 * stricter. Who is exempt, and labels that cannot be read, are noted in the audit log, too.
 */
export function podSecurity(objects: StoredObjects, config: PodSecurityConfig = {}): AdmissionPlugin {
  const { exemptions = {}, defaults } = config
  // The labels of a namespace are another object when they have changed.
  const policies = new WeakMap<object, Policy>()
  const policyFor = (labels: Readonly<Record<string, string>> = {}) => {
    const known = policies.get(labels) ?? policyOf(labels, defaults)
    policies.set(labels, known)
    return known
  }
  return {
    name: 'PodSecurity',
    validate(request) {
      if (request.verb === 'delete') return
      const { kind, namespace, object, subresource } = request
      if (kind.resource === 'namespaces' && kind.group === '') {
        if (!subresource) judgeNamespace(request, objects, config)
        return
      }
      if (namespace === undefined || !object) return
      const isPod = kind.resource === 'pods' && kind.group === ''
      if (isPod ? subresource === 'status' : subresource) return
      const template = isPod ? templateOf(object as Pod) : templateIn(object)
      if (!template) return
      const exempt = exemptionOf(exemptions, { namespace, user: request.user })
      if (exempt) {
        request.annotate?.(`${prefix}exempt`, exempt)
        return
      }
      const labels = objects.get(namespaceKind, namespace)?.metadata?.labels
      if (isPod && !isSignificant(request)) return
      if (exemptions.runtimeClasses?.includes(template.spec.runtimeClassName ?? '')) {
        request.annotate?.(`${prefix}exempt`, 'runtimeClass')
        return
      }
      noteProblems(request, labels)
      const judge = isPod ? judgePod : tell
      judge(request, policyFor(labels), template)
    },
  }
}

/** Labels that cannot be read got there while nobody looked: what they mean then is not what was wanted. */
function noteProblems({ annotate }: AdmissionRequest, labels: Readonly<Record<string, string>> | undefined): void {
  if (!annotate) return
  const problems = policyProblems(labels).map(({ field, message }) => `${field}: ${message}`)
  if (problems.length === 0) return
  const text = problems.length === 1 ? problems[0] : `[${problems.join(', ')}]`
  annotate(`${prefix}error`, `Failed to parse policy: ${text}`)
}

interface Template {
  readonly metadata: ObjectMeta
  readonly spec: PodSpec
}

function templateOf({ metadata = {}, spec }: Pod): Template | undefined {
  return spec && { metadata, spec }
}

function judgePod(request: AdmissionRequest, policy: Policy, { metadata, spec }: Template): void {
  request.annotate?.(`${prefix}enforce-policy`, standardText(policy.enforce))
  auditOf(request, policy.audit, { metadata, spec })
  const violations = violationsOf(policy.enforce, metadata, spec)
  if (violations.length > 0) {
    const reason = `violates PodSecurity "${standardText(policy.enforce)}": ${violationsText(violations)}`
    throw forbidden(request.kind, request.name, reason)
  }
  warnOf(request, policy.warn, { metadata, spec })
}

function tell(request: AdmissionRequest, policy: Policy, template: Template): void {
  auditOf(request, policy.audit, template)
  warnOf(request, policy.warn, template)
}

function auditOf({ annotate }: AdmissionRequest, standard: Standard, { metadata, spec }: Template): void {
  if (!annotate) return
  const violations = violationsOf(standard, metadata, spec)
  if (violations.length > 0) annotate(`${prefix}audit-violations`, wouldViolate(standard, violations))
}

const wouldViolate = (standard: Standard, violations: Parameters<typeof violationsText>[0]) =>
  `would violate PodSecurity "${standardText(standard)}": ${violationsText(violations)}`

function warnOf({ warn }: AdmissionRequest, standard: Standard, { metadata, spec }: Template): void {
  const violations = violationsOf(standard, metadata, spec)
  if (violations.length === 0) return
  warn(wouldViolate(standard, violations))
}

/** An update can violate something only by another image or another container. */
function isSignificant({ object, old }: AdmissionRequest): boolean {
  if (!old) return true
  const images = (pod: KubeObject) => {
    const { containers = [], initContainers = [], ephemeralContainers = [] } = (pod as Pod).spec ?? {}
    return JSON.stringify(
      [containers, initContainers, ephemeralContainers].map((list) => list.map(({ name, image }) => [name, image])),
    )
  }
  return images(object as KubeObject) !== images(old)
}

interface WithTemplate extends KubeObject {
  spec?: { template?: Partial<Template>; jobTemplate?: { spec?: { template?: Partial<Template> } } }
  template?: Partial<Template>
}

/** Of a Deployment, a CronJob, a PodTemplate. */
function templateIn(object: KubeObject): Template | undefined {
  const { spec, template } = object as WithTemplate
  const found = template ?? spec?.template ?? spec?.jobTemplate?.spec?.template
  return found?.spec?.containers ? { metadata: found.metadata ?? {}, spec: found.spec } : undefined
}

function judgeNamespace(
  request: AdmissionRequest,
  objects: StoredObjects,
  { exemptions = {}, defaults }: PodSecurityConfig,
): void {
  const { kind, name, object, old, warn } = request
  const labels = object?.metadata?.labels
  const problems = policyProblems(labels)
  const before = policyProblems(old?.metadata?.labels)
  if (problems.length > 0 && JSON.stringify(problems) !== JSON.stringify(before)) throw invalid(kind, name, problems)
  const policy = policyOf(labels, defaults)
  const { enforce } = policy
  const isStrict = old ? isStricter(enforce, policyOf(old.metadata?.labels, defaults).enforce) : false
  if (exemptions.namespaces?.includes(name)) {
    const text = old && !isStrict ? undefined : vainLabels(name, policy, labels)
    if (text) warn(text)
    return
  }
  if (!isStrict) return
  for (const text of warningsAbout(objects.list(podKind, name), enforce)) warn(text(name))
}

/** Looked at in one request, at most. */
const mostPods = 3000

/** First that there are some, then each kind of violation with the name of one pod. */
function warningsAbout(pods: readonly Pod[], standard: Standard): ((namespace: string) => string)[] {
  const found = new Map<string, string[]>()
  for (const { metadata = {}, spec } of pods.slice(0, mostPods)) {
    const violations = spec ? violationsOf(standard, metadata, spec) : []
    if (violations.length === 0) continue
    const reasons = violations.map(({ reason }) => reason).join(', ')
    found.set(reasons, [...(found.get(reasons) ?? []), metadata.name ?? ''])
  }
  if (found.size === 0) return []
  const lines = [...found].map(([reasons, names]) => `${countedNames(names)}: ${reasons}`).sort()
  const text = standardText(standard)
  const checked = `new PodSecurity enforce level only checked against the first ${mostPods} of ${pods.length} existing pods`
  return [
    ...(pods.length > mostPods ? [() => checked] : []),
    (namespace) => `existing pods in namespace "${namespace}" violate the new PodSecurity enforce level "${text}"`,
    ...lines.map((line) => () => line),
  ]
}

function countedNames(names: readonly string[]): string {
  const [first = '', ...others] = [...names].sort()
  if (others.length === 0) return first
  return `${first} (and ${others.length} other ${others.length === 1 ? 'pod' : 'pods'})`
}
