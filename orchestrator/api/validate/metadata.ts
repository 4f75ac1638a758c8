/** Checks of `metadata` for every kind. Source: k8s.io/apimachinery/pkg/api/validation/objectmeta.go. */
import type { Kind } from '../kinds/kind.ts'
import { checkDnsLabel, checkLabelValue, checkQualifiedName } from '../names.ts'
import type { KubeObject, ObjectMeta } from '../types.ts'
import { allOf, invalidName, invalidValue, none, notAllowed, type Problem, required, tooLongValue } from './problem.ts'

const annotationBytes = 256 * 1024

/** What is wrong with the metadata of an object of this kind. */
export function validateMetadata(kind: Kind, object: KubeObject): Problem[] {
  const meta = object.metadata ?? {}
  return allOf(
    validateNames(kind, meta),
    validateLabels(meta.labels, 'metadata.labels'),
    validateAnnotations(meta.annotations),
    (meta.finalizers ?? []).flatMap((name, at) => validateFinalizer(name, `metadata.finalizers[${at}]`)),
    validateOwners(meta),
  )
}

function validateNames(kind: Kind, meta: ObjectMeta): Problem[] {
  const problems: Problem[] = []
  if (meta.generateName) {
    const withoutDash = meta.generateName.replace(/-$/, 'a')
    problems.push(...invalidName('metadata.generateName', meta.generateName, kind.strategy.checkName(withoutDash)))
  }
  if (meta.name) problems.push(...invalidName('metadata.name', meta.name, kind.strategy.checkName(meta.name)))
  else problems.push(required('metadata.name', 'name or generateName is required'))
  if (kind.namespaced) {
    if (!meta.namespace) problems.push(required('metadata.namespace'))
    else problems.push(...invalidName('metadata.namespace', meta.namespace, checkDnsLabel(meta.namespace)))
  } else if (meta.namespace) problems.push(notAllowed('metadata.namespace', 'not allowed on this type'))
  return problems
}

/** Labels, wherever they are. */
export function validateLabels(labels: Record<string, string> | undefined, field: string): Problem[] {
  return Object.entries(labels ?? {}).flatMap(([key, value]) =>
    allOf(
      invalidName(field, key, checkQualifiedName(key)),
      invalidName(`${field}.${key}`, value, checkLabelValue(value)).map((problem) => ({ ...problem, field })),
    ),
  )
}

function validateAnnotations(annotations: Record<string, string> | undefined): Problem[] {
  const entries = Object.entries(annotations ?? {})
  const field = 'metadata.annotations'
  const bytes = entries.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0)
  return allOf(
    entries.flatMap(([key]) => invalidName(field, key, checkQualifiedName(key.toLowerCase()))),
    bytes > annotationBytes ? [tooLongValue(field, annotationBytes)] : none,
  )
}

const plainFinalizers = ['kubernetes', 'orphan', 'foregroundDeletion']

function validateFinalizer(name: string, field: string): Problem[] {
  const reasons = checkQualifiedName(name)
  if (reasons.length > 0) return invalidName(field, name, reasons)
  if (name.includes('/') || plainFinalizers.includes(name)) return []
  return [invalidValue(field, name, 'name is neither a standard finalizer name nor is it fully qualified')]
}

function validateOwners(meta: ObjectMeta): Problem[] {
  const owners = meta.ownerReferences ?? []
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
export function validateMetadataUpdate(object: KubeObject, old: KubeObject): Problem[] {
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
