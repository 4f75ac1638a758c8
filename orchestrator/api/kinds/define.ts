/** What most rows of the table have in common, said once. */
import { isEqual } from '../equal.ts'
import { checkDnsSubdomain } from '../names.ts'
import { namePrinter } from '../print/simple.ts'
import type { KubeObject } from '../types.ts'
import { allVerbs, type Kind, type Printer, type Strategy } from './kind.ts'

/** A row, without what follows from the rest of it. */
export interface KindRow<T extends KubeObject> extends Pick<Kind<T>, 'kind' | 'resource' | 'namespaced'> {
  readonly shortNames?: readonly string[]
  readonly categories?: readonly string[]
  /** When it is not `/registry/<resource>/`. */
  readonly storedAt?: string
  /** All of them unless given. */
  readonly verbs?: Kind['verbs']
  readonly subresources?: Kind['subresources']
  /** In addition to names that are DNS subdomains. */
  readonly strategy?: Partial<Strategy<T>>
  /** Name and age unless given. */
  readonly printer?: Printer<T>
}

/** The rows of one version of one group. `definitions` is the beginning of their names in the schema, with a dot at the end. */
export function inGroup(group: string, version: string, definitions: string) {
  return <T extends KubeObject>(row: KindRow<T>): Kind<T> => ({
    group,
    version,
    singular: row.kind.toLowerCase(),
    definition: definitions + row.kind,
    storedAt: `/registry/${row.resource}/`,
    verbs: allVerbs,
    subresources: [],
    printer: namePrinter,
    ...row,
    strategy: { checkName: checkDnsSubdomain, ...row.strategy },
  })
}

type WithStatus = KubeObject & { spec?: unknown; status?: unknown }

/**
 * The ordinary division of work: users write the spec, controllers the status. A new object has `initial` as status,
 * an update keeps the status, an update of the status keeps the spec, and a changed spec is a new generation.
 */
export function specAndStatus<T extends WithStatus>(
  initial?: () => T['status'],
): Pick<Strategy<T>, 'beforeCreate' | 'beforeUpdate' | 'beforeStatusUpdate' | 'isNewGeneration'> {
  return {
    beforeCreate(object) {
      setOrDelete(object, 'status', initial?.())
    },
    beforeUpdate(object, old) {
      setOrDelete(object, 'status', old.status)
    },
    beforeStatusUpdate(object, old) {
      setOrDelete(object, 'spec', old.spec)
    },
    isNewGeneration: (object, old) => !isEqual(object.spec, old.spec),
  }
}

function setOrDelete<T extends WithStatus>(object: T, field: 'spec' | 'status', value: unknown): void {
  if (value === undefined) delete object[field]
  else object[field] = value as T['spec']
}

/** A default: Kubernetes shows a specification even where nobody has written one. */
export function setEmptySpec(object: WithStatus): void {
  object.spec ??= {}
}

/** For kinds that are one specification: whatever differs besides the metadata is a new generation. */
export function isOtherContent<T extends KubeObject>(object: T, old: T): boolean {
  return !isEqual({ ...object, metadata: null }, { ...old, metadata: null })
}

/** For kinds that keep no generation. */
export function withoutGeneration<T extends KubeObject>(strategy: Partial<Strategy<T>>): Partial<Strategy<T>> {
  const { isNewGeneration: _, ...rest } = strategy
  return rest
}
