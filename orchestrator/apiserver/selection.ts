/** Label and field selectors of a request, ready to be asked. */
import { hasCode, messageOf } from '../../runtime/base/errors.ts'
import type { Kind } from '../api/kinds/kind.ts'
import { type FieldSelector, matchesFields, parseFieldSelector, requiredValue } from '../api/selectors/field.ts'
import { type LabelSelector, matchesLabels, parseLabelSelector } from '../api/selectors/label.ts'
import { badRequest } from '../api/status.ts'
import type { KubeObject } from '../api/types.ts'

export interface Selection {
  /** True if nothing is filtered out. */
  readonly isEverything: boolean
  /** Set when only an object of this name can match. */
  readonly name?: string
  matches(object: KubeObject): boolean
}

export interface SelectorTexts {
  readonly labelSelector?: string
  readonly fieldSelector?: string
}

const everything: Selection = { isEverything: true, matches: () => true }

/** What the selectors of a request select. Throws BAD_REQUEST for one that cannot be read or asks for an unknown field. */
export function selectionOf(kind: Kind, texts: SelectorTexts): Selection {
  const { labelSelector = '', fieldSelector = '' } = texts
  if (labelSelector === '' && fieldSelector === '') return everything
  const labels = readLabels(labelSelector)
  const fields = readFields(kind, texts)
  const name = requiredValue(fields, 'metadata.name')
  return {
    isEverything: labels.length === 0 && fields.length === 0,
    ...(name === undefined ? {} : { name }),
    matches: (object) =>
      matchesLabels(labels, object.metadata?.labels) &&
      matchesFields(fields, (field) => fieldText(kind, object, field) ?? ''),
  }
}

function readLabels(text: string): LabelSelector {
  try {
    return parseLabelSelector(text)
  } catch (error) {
    if (hasCode(error, 'BAD_SELECTOR')) throw badRequest(`unable to parse requirement: ${messageOf(error)}`)
    throw error
  }
}

function readFields(kind: Kind, { fieldSelector = '' }: SelectorTexts): FieldSelector {
  try {
    const fields = parseFieldSelector(fieldSelector)
    const unknown = fields.find(({ field }) => !isSelectable(kind, field))
    if (!unknown) return fields
    throw badRequest(
      kind.strategy.fields
        ? `field label not supported: ${unknown.field}`
        : `${JSON.stringify(unknown.field)} is not a known field selector: only "metadata.name", "metadata.namespace"`,
    )
  } catch (error) {
    if (hasCode(error, 'BAD_SELECTOR')) throw badRequest(messageOf(error))
    throw error
  }
}

const isSelectable = (kind: Kind, field: string) =>
  field === 'metadata.name' ||
  (field === 'metadata.namespace' && kind.namespaced) ||
  Object.hasOwn(kind.strategy.fields ?? {}, field)

function fieldText(kind: Kind, object: KubeObject, field: string): string | undefined {
  if (field === 'metadata.name') return object.metadata?.name
  if (field === 'metadata.namespace') return object.metadata?.namespace
  return kind.strategy.fields?.[field]?.(object)
}
