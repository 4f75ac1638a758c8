/**
 * How often the template of a DaemonSet has changed. What was a field once is an annotation in apps/v1, which the server
 * alone counts up. Source: k8s.io/kubernetes/pkg/apis/apps/v1/conversion.go, pkg/registry/apps/daemonset/strategy.go.
 */
import { isEqual } from '../equal.ts'
import type { DaemonSet } from '../types.ts'

const annotation = 'deprecated.daemonset.template.generation'

const generationOf = ({ metadata }: DaemonSet) => Number(metadata?.annotations?.[annotation]) || 0

function setGeneration(object: DaemonSet, generation: number): void {
  object.metadata = {
    ...object.metadata,
    annotations: { ...object.metadata?.annotations, [annotation]: String(generation) },
  }
}

/** Every DaemonSet has the annotation, so that whoever writes it owns it. */
export function setTemplateGenerationDefault(object: DaemonSet): void {
  setGeneration(object, generationOf(object))
}

/** A new one has its first template, whatever else it was told to have. */
export function beginTemplateGeneration(object: DaemonSet): void {
  setGeneration(object, Math.max(1, generationOf(object)))
}

/** Another template counts. */
export function countTemplateGeneration(object: DaemonSet, old: DaemonSet): void {
  const isOther = !isEqual(object.spec?.template, old.spec?.template)
  setGeneration(object, generationOf(old) + (isOther ? 1 : 0))
}
