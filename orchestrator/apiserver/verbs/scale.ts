/**
 * `…/scale`: how many copies of a workload are wanted, whatever its kind.
 * Source: k8s.io/kubernetes/pkg/registry/apps/deployment/storage/storage.go.
 */
import type { Kind } from '../../api/kinds/kind.ts'
import { scaleKind } from '../../api/kinds/scale.ts'
import { apiVersionOf } from '../../api/kinds/table.ts'
import { formatLabelSelector, fromSelectorFields } from '../../api/selectors/label.ts'
import { badRequest, invalid } from '../../api/status.ts'
import type { KubeObject, LabelSelector, Scale } from '../../api/types.ts'
import { validateNotNegative } from '../../api/validate/numbers.ts'
import { copyOf, type ObjectPlace } from '../objects.ts'
import type { Registry } from '../registry.ts'
import { getStored } from '../stored.ts'
import { applyObject } from './apply.ts'
import { type PatchRequest, patchedBy } from './patch.ts'
import { updateObject } from './update.ts'
import type { WriteOptions } from './write.ts'

interface Workload extends KubeObject {
  spec?: { replicas?: number; selector?: LabelSelector | Record<string, string> }
  status?: { replicas?: number }
}

const subresource = 'scale'

/** The scale of a workload as it is now. Throws NOT_FOUND. */
export function getScale(registry: Registry, place: ObjectPlace): Scale {
  return scaleOf(place.kind, getStored(registry, place))
}

function scaleOf(kind: Kind, object: KubeObject): Scale {
  const { metadata = {}, spec = {}, status = {} } = object as Workload
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata
  const selector = selectorText(kind, spec.selector)
  return {
    kind: 'Scale',
    apiVersion: apiVersionOf(scaleKind),
    metadata: definedOf({ name, namespace, uid, resourceVersion, creationTimestamp }),
    spec: { replicas: spec.replicas ?? 0 },
    status: { replicas: status.replicas ?? 0, ...(selector ? { selector } : {}) },
  }
}

type Definable = Readonly<Record<string, string | undefined>>

function definedOf(fields: Definable): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Record<string, string>
}

function selectorText(kind: Kind, selector: LabelSelector | Record<string, string> | undefined): string {
  if (!selector) return ''
  // A ReplicationController selects by equality alone.
  const isPlain = kind.group === ''
  return formatLabelSelector(
    fromSelectorFields(isPlain ? { matchLabels: selector as Record<string, string> } : selector),
  )
}

/** PUT: `scale` is the whole wish. Throws NOT_FOUND, CONFLICT, INVALID. */
export async function putScale(
  registry: Registry,
  place: ObjectPlace,
  request: WriteOptions & { scale: Scale },
): Promise<Scale> {
  const { scale, ...options } = request
  const { name } = scale.metadata ?? {}
  if (name && name !== place.name) {
    throw badRequest(`the name of the object (${name}) does not match the name on the URL (${place.name})`)
  }
  return change(registry, place, {
    ...options,
    next: () => scale,
    isConditional: Boolean(scale.metadata?.resourceVersion),
  })
}

/** PATCH of any type. Throws as the patch of an object. */
export async function patchScale(registry: Registry, place: ObjectPlace, request: PatchRequest): Promise<Scale> {
  if (request.type === 'apply') {
    const { spec } = (request.patch ?? {}) as Scale
    const config = { apiVersion: apiVersionOf(place.kind), kind: place.kind.kind, metadata: { name: place.name }, spec }
    const applying = { ...request, config, force: request.force ?? false, subresource }
    return scaleOf(place.kind, (await applyObject(registry, place, applying)).object)
  }
  const asScale = scaleKind as unknown as Kind
  const next = patchedBy(asScale, { ...request, type: request.type })
  const { resourceVersion } = (request.patch as KubeObject | null)?.metadata ?? {}
  return change(registry, place, {
    ...request,
    isConditional: request.type !== 'json' && Boolean(resourceVersion),
    next: (current) => next(current) as Scale,
  })
}

interface Change extends WriteOptions {
  readonly isConditional: boolean
  next(current: Scale): Scale
}

async function change(registry: Registry, place: ObjectPlace, request: Change): Promise<Scale> {
  const object = await updateObject(registry, place, {
    ...request,
    subresource,
    next(current) {
      const scale = request.next(scaleOf(place.kind, current))
      refuseInvalid(scale, place.name)
      const workload = copyOf(current as Workload)
      workload.spec = { ...workload.spec, replicas: scale.spec?.replicas ?? 0 }
      const { resourceVersion, uid } = scale.metadata ?? {}
      const { resourceVersion: _, ...metadata } = workload.metadata ?? {}
      workload.metadata = {
        ...metadata,
        ...(request.isConditional && resourceVersion ? { resourceVersion } : {}),
        ...(uid ? { uid } : {}),
      }
      return workload
    },
  })
  return scaleOf(place.kind, object)
}

function refuseInvalid(scale: Scale, name: string): void {
  const problems = validateNotNegative(scale.spec?.replicas, 'spec.replicas')
  if (problems.length > 0) throw invalid(scaleKind, name, problems)
}
