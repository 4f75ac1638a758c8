/** `kubectl get` asks for rows instead of objects: metav1.Table. */
import type { Kind } from '../api/kinds/kind.ts'
import { apiVersionOf } from '../api/kinds/table.ts'
import type { KubeObject } from '../api/types.ts'
import { shownBy } from './shown.ts'

/** How much of each object goes along with its row. */
export type IncludeObject = 'None' | 'Metadata' | 'Object'

export interface TableOptions {
  readonly version: string
  readonly includeObject: IncludeObject
  /** False in all but the first event of a watch. */
  readonly withColumns: boolean
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** A Table with one row for each object. */
export function tableOf(kind: Kind, objects: readonly KubeObject[], options: TableOptions) {
  const { printer } = kind
  return {
    kind: 'Table',
    apiVersion: `meta.k8s.io/${options.version}`,
    metadata: {} as Record<string, unknown>,
    columnDefinitions: options.withColumns
      ? printer.columns.map(({ name, type, format = '', description, priority = 0 }) => ({
          name,
          type,
          format,
          description,
          priority,
        }))
      : [],
    rows: objects.map((object) => ({
      cells: printer.cells(object, options.now),
      ...includedOf(kind, object, options),
    })),
  }
}

function includedOf(kind: Kind, object: KubeObject, { includeObject, version }: TableOptions): { object?: unknown } {
  switch (includeObject) {
    case 'None':
      return {}
    case 'Object':
      return { object: { kind: kind.kind, apiVersion: apiVersionOf(kind), ...shownBy(kind, object) } }
    case 'Metadata':
      return { object: partialOf(object, version) }
  }
}

/** Only the metadata of an object. */
export function partialOf(object: KubeObject, version: string) {
  return { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata: object.metadata ?? {} }
}
