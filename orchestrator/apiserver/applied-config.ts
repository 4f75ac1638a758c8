/** Around server-side apply: what a configuration really says, what conflicts are called, and kubectl's older way of applying. */
import { compare } from '../api/apply/compare.ts'
import { difference, type FieldSet, nothing, pathText } from '../api/apply/field-set.ts'
import { fieldsOf } from '../api/apply/fields-of.ts'
import type { Manager } from '../api/apply/managers.ts'
import type { Conflict } from '../api/apply/own.ts'
import type { Kind } from '../api/kinds/kind.ts'
import { applyConflict, type StatusError } from '../api/status.ts'
import type { KubeObject } from '../api/types.ts'

/**
 * The configuration with canonical values (`1` for `1000m`), and nothing else than its author wrote: an applier owns
 * what he names, so neither required fields nor defaults may come in here.
 */
export function asWritten(config: unknown, decoded: unknown): unknown {
  if (decoded === undefined) return config
  if (Array.isArray(config)) {
    return config.map((item, at) => asWritten(item, Array.isArray(decoded) ? decoded[at] : undefined))
  }
  if (!isRecord(config)) return decoded
  const values = isRecord(decoded) ? decoded : {}
  return Object.fromEntries(Object.entries(config).map(([name, value]) => [name, asWritten(value, values[name])]))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What the author reads: 409, with a cause for each field. */
export function conflictError(conflicts: readonly Conflict[]): StatusError {
  const causes = conflicts.map(({ manager, path }) => ({
    reason: 'FieldManagerConflict',
    message: `conflict with ${ownerText(manager)}`,
    field: pathText(path),
  }))
  return applyConflict(causes, messageOf(conflicts))
}

function messageOf(conflicts: readonly Conflict[]): string {
  const [first] = conflicts
  if (first && conflicts.length === 1) {
    return `Apply failed with 1 conflict: conflict with ${ownerText(first.manager)}: ${pathText(first.path)}`
  }
  const byOwner = new Map<string, string[]>()
  for (const { manager, path } of conflicts) {
    const owner = ownerText(manager)
    byOwner.set(owner, [...(byOwner.get(owner) ?? []), `- ${pathText(path)}`])
  }
  const lines = [...byOwner]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .flatMap(([owner, paths]) => [`conflicts with ${owner}:`, ...paths])
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join('\n')}`
}

function ownerText({ manager, subresource, operation, apiVersion, time }: Manager): string {
  const name = JSON.stringify(manager) + (subresource ? ` with subresource ${JSON.stringify(subresource)}` : '')
  if (operation === 'Apply') return name
  return `${name} using ${apiVersion}${time ? ` at ${time}` : ''}`
}

const annotation = 'kubectl.kubernetes.io/last-applied-configuration'

/** Whom the older way of applying belongs to: only he takes over what it left. */
export const kubectlManager = 'kubectl'

/**
 * What `kubectl apply` without `--server-side` has set and nobody has changed since: taking that over is no conflict.
 * Source: k8s.io/apimachinery/pkg/util/managedfields/internal/lastappliedmanager.go.
 */
export function lastAppliedFields(kind: Kind, live: KubeObject): FieldSet {
  const text = live.metadata?.annotations?.[annotation]
  if (text === undefined) return nothing
  try {
    const applied: unknown = JSON.parse(text)
    const { added, modified, removed } = compare(kind.definition, applied, live)
    return [added, modified, removed].reduce(difference, fieldsOf(kind.definition, applied))
  } catch {
    return nothing
  }
}

/** An object that has been applied in the older way stays readable for it: the annotation says what is applied now. */
export function withLastApplied<T extends KubeObject>(object: T, config: unknown): T {
  const annotations = object.metadata?.annotations
  if (annotations?.[annotation] === undefined) return object
  const { metadata, ...rest } = config as KubeObject
  const { managedFields: _, ...others } = metadata ?? {}
  const text = `${JSON.stringify({ ...rest, metadata: others })}\n`
  return { ...object, metadata: { ...object.metadata, annotations: { ...annotations, [annotation]: text } } }
}
