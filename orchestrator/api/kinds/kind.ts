import type { StatusCause } from '../status.ts'
import type { KubeObject } from '../types.ts'
import type { User } from '../user.ts'

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection'

/** A path below an object. `kind` is what is sent there, when that is not the object itself. */
export interface Subresource {
  readonly name: string
  readonly verbs: readonly Verb[]
  readonly kind?: string
  readonly group?: string
  readonly version?: string
}

/** A column of a Table. `priority` 1 is shown by `-o wide` only. */
export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'date' | 'boolean'
  readonly format?: 'name' | 'int64'
  readonly priority?: 1
  readonly description: string
}

export type Cell = string | number | boolean | null

/** How `kubectl get` shows a kind: columns, and one cell for each. `now` is in milliseconds. */
export interface Printer<T extends KubeObject = KubeObject> {
  readonly columns: readonly Column[]
  cells(object: T, now: number): Cell[]
}

/** A write through a subresource that changes a part of the object only. */
export interface SubresourceStrategy<T extends KubeObject = KubeObject> {
  /** Takes over from `old` all but that part. */
  before(object: T, old: T): void
  validate(object: T, old: T): readonly StatusCause[]
}

/**
 * What is particular to a kind when it is written. Objects are private copies and may be changed; `old` may not.
 * What is left out has the ordinary behaviour (see `../../apiserver/verbs`).
 */
export interface Strategy<T extends KubeObject = KubeObject> {
  /** What is wrong with a name, as in `../names.ts`. */
  checkName(name: string): readonly string[]
  setDefaults?(object: T): void
  /** Removes what a creator may not set, such as the status; notes who he is, where that is part of the object. */
  beforeCreate?(object: T, creator: { readonly user: User }): void
  /** Takes over from `old` what an update may not change, such as the status. */
  beforeUpdate?(object: T, old: T): void
  /** For `PUT …/status`: takes over all but the status. */
  beforeStatusUpdate?(object: T, old: T): void
  /** By subresource, other than `status`. */
  readonly through?: Readonly<Record<string, SubresourceStrategy<T>>>
  validate?(object: T): readonly StatusCause[]
  /** In addition to `validate`, as the one below. */
  validateCreate?(object: T): readonly StatusCause[]
  validateUpdate?(object: T, old: T): readonly StatusCause[]
  /** The text of a selectable field. `metadata.name` and `metadata.namespace` are known for every kind. */
  readonly fields?: Readonly<Record<string, (object: T) => string>>
  /** Seconds between a deletion and the end of the object; 0: now. Without it: now. */
  gracePeriodSeconds?(object: T, asked: number | undefined): number
  /** True if a change between these two counts in `metadata.generation`. Without it: no generation is kept. */
  isNewGeneration?(object: T, old: T): boolean
  /** False if an update must name the resourceVersion. */
  readonly unconditionalUpdate?: false
  /** True if a PUT of what is not there makes it. */
  readonly createOnUpdate?: true
}

/**
 * How a version that is not the stored one is made of it and back. `fromStored` gets a shared object and changes
 * nothing, `toStored` takes a private copy over. What the older version cannot say is kept where it has room for it.
 */
export interface Conversion {
  /** The row of the version that is stored. */
  readonly stored: Kind
  fromStored(object: KubeObject): KubeObject
  toStored(object: KubeObject): KubeObject
}

/** One row of the table of kinds: all that the generic machinery knows about a resource. */
export interface Kind<T extends KubeObject = KubeObject> {
  readonly group: string
  readonly version: string
  readonly kind: string
  /** Plural, lower case: the path segment. */
  readonly resource: string
  readonly singular: string
  readonly shortNames?: readonly string[]
  readonly categories?: readonly string[]
  readonly namespaced: boolean
  /** The name of its definition in the schema. */
  readonly definition: string
  /** Where its objects are in the store, with a slash at the end; the same layout as Kubernetes'. Empty: nothing is stored. */
  readonly storedAt: string
  /** Set for a version that is not the one that is stored. */
  readonly conversion?: Conversion
  readonly verbs: readonly Verb[]
  readonly subresources: readonly Subresource[]
  readonly strategy: Strategy<T>
  readonly printer: Printer<T>
}

export const allVerbs: readonly Verb[] = [
  'create',
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'update',
  'watch',
]

export const statusSubresource: Subresource = { name: 'status', verbs: ['get', 'patch', 'update'] }

/** What is asked through it goes on to the object itself. */
export const proxySubresource = (kind: string): Subresource => ({
  name: 'proxy',
  kind,
  verbs: ['create', 'delete', 'get', 'patch', 'update'],
})

export const scaleSubresource: Subresource = {
  name: 'scale',
  verbs: ['get', 'patch', 'update'],
  group: 'autoscaling',
  version: 'v1',
  kind: 'Scale',
}
