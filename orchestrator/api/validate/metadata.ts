/** Checks of `metadata` for every kind. Source: k8s.io/apimachinery/pkg/api/validation/objectmeta.go. */
import type { Kind } from '../kinds/kind.ts'
import { checkDnsLabel, checkLabelValue, checkQualifiedName } from '../names.ts'
import type { KubeObject, ObjectMeta } from '../types.ts'
import {
  allOf,
  eachItem,
  invalidName,
  invalidValue,
  none,
  notAllowed,
  type Problem,
  required,
  tooLongValue,
} from './problem.ts'

const annotationBytes = 256 * 1024

/** What is wrong with the metadata of an object of this kind. */
export function validateMetadata(kind: Kind, object: KubeObject): readonly Problem[] {
  const meta = object.metadata ?? {}
  return allOf(
    validateNames(kind, meta),
    validateLabels(meta.labels, 'metadata.labels'),
    validateAnnotations(meta.annotations),
    eachItem(meta.finalizers, 'metadata.finalizers', validateFinalizer),
    validateOwners(meta),
  )
}

function validateNames(kind: Kind, meta: ObjectMeta): readonly Problem[] {
  const { name, generateName } = meta
  const { checkName } = kind.strategy
  return allOf(
    generateName
      ? invalidName('metadata.generateName', generateName, checkName(generateName.replace(/-$/, 'a')))
      : none,
    name
      ? invalidName('metadata.name', name, checkName(name))
      : [required('metadata.name', 'name or generateName is required')],
    validateNamespace(kind, meta.namespace),
  )
}

function validateNamespace(kind: Kind, namespace: string | undefined): readonly Problem[] {
  const field = 'metadata.namespace'
  if (!kind.namespaced) return namespace ? [notAllowed(field, 'not allowed on this type')] : none
  return namespace ? invalidName(field, namespace, checkDnsLabel(namespace)) : [required(field)]
}

/** Labels, wherever they are. */
export function validateLabels(labels: Record<string, string> | undefined, field: string): readonly Problem[] {
  let problems = none
  for (const key in labels) {
    const value = labels[key] ?? ''
    problems = allOf(
      problems,
      invalidName(field, key, checkQualifiedName(key)),
      invalidName(field, value, checkLabelValue(value)),
    )
  }
  return problems
}

function validateAnnotations(annotations: Record<string, string> | undefined): readonly Problem[] {
  if (!annotations) return none
  const entries = Object.entries(annotations)
  const field = 'metadata.annotations'
  const bytes = entries.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0)
  return allOf(
    entries.flatMap(([key]) => invalidName(field, key, checkQualifiedName(key.toLowerCase()))),
    bytes > annotationBytes ? [tooLongValue(field, annotationBytes)] : none,
  )
}

const plainFinalizers = ['kubernetes', 'orphan', 'foregroundDeletion']

function validateFinalizer(name: string, field: string): readonly Problem[] {
  const reasons = checkQualifiedName(name)
  if (reasons.length > 0) return invalidName(field, name, reasons)
  if (name.includes('/') || plainFinalizers.includes(name)) return []
  return [invalidValue(field, name, 'name is neither a standard finalizer name nor is it fully qualified')]
}

function validateOwners(meta: ObjectMeta): readonly Problem[] {
  const owners = meta.ownerReferences
  if (!owners) return none
  const field = 'metadata.ownerReferences'
  const controllers = owners.filter((owner) => owner.controller)
  const each = owners.flatMap((owner, at) => {
    const problems: Problem[] = []
    if (!owner.apiVersion) problems.push(invalidValue(`${field}[${at}].apiVersion`, '', 'version must not be empty'))
    if (!owner.kind) problems.push(invalidValue(`${field}[${at}].kind`, '', 'must not be empty'))
    if (!owner.name) problems.push(invalidValue(`${field}[${at}].name`, '', 'must not be empty'))
    if (!owner.uid) problems.push(invalidValue(`${field}[${at}].uid`, '', 'must not be empty'))
    return problems
  })
  if (controllers.length < 2) return each
  const [first, second] = controllers
  const detail = `Only one reference can have Controller set to true. Found "true" in references for ${first?.kind}/${first?.name} and ${second?.kind}/${second?.name}`
  return [...each, invalidValue(field, owners, detail)]
}

const immutable = 'field is immutable'

/** What an update may not do to metadata. */
export function validateMetadataUpdate(object: KubeObject, old: KubeObject): readonly Problem[] {
  const meta = object.metadata ?? {}
  const before = old.metadata ?? {}
  const problems: Problem[] = []
  for (const name of ['name', 'namespace', 'uid', 'creationTimestamp', 'deletionTimestamp'] as const) {
    if (meta[name] !== before[name]) problems.push(invalidValue(`metadata.${name}`, meta[name], immutable))
  }
  if (before.deletionTimestamp) {
    const added = (meta.finalizers ?? []).filter((name) => !before.finalizers?.includes(name))
    if (added.length > 0) {
      const detail = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((name) => JSON.stringify(name)).join(', ')}}`
      problems.push(notAllowed('metadata.finalizers', detail))
    }
  }
  return problems
}
