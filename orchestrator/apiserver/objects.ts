/**
 * Objects as the server holds them: frozen, shared, with `kind` and `apiVersion` first so that their JSON has a known
 * beginning, and with the revision of their last write in `metadata.resourceVersion`.
 */
import type { FieldSet } from '../api/apply/field-set.ts'
import { textOfKnown } from '../api/apply/known-sets.ts'
import { deepFreeze } from '../api/deep-freeze.ts'
import type { Kind } from '../api/kinds/kind.ts'
import { apiVersionOf } from '../api/kinds/table.ts'
import { encodeMessage, inEnvelope } from '../api/protobuf/encode.ts'
import type { KubeObject, ObjectMeta } from '../api/types.ts'

type ManagedFields = NonNullable<ObjectMeta['managedFields']>

/** The place of one object. `namespace` is unset for kinds of the cluster. */
export interface ObjectPlace {
  readonly kind: Kind
  readonly namespace?: string
  readonly name: string
}

/** The key in the store, as in Kubernetes. */
export function keyOf({ kind, namespace, name }: ObjectPlace): string {
  return kind.namespaced ? `${kind.storedAt}${namespace}/${name}` : `${kind.storedAt}${name}`
}

/** A private copy that may be changed. */
export function copyOf<T extends KubeObject>(object: T): T {
  return structuredCopy(object) as T
}

/** structuredClone costs ten times as much, and knows more than JSON. */
function structuredCopy(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(structuredCopy)
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value)) {
    const inner = structuredCopy((value as Record<string, unknown>)[key])
    if (key === '__proto__')
      Object.defineProperty(copy, key, { value: inner, enumerable: true, writable: true, configurable: true })
    else copy[key] = inner
  }
  return copy
}

/** The text to store: all but the resourceVersion, which is the revision of that text. Metadata comes right after the type. */
export function storedText(kind: Kind, object: KubeObject): string {
  let text = `${JSON.stringify(typeOf(kind)).slice(0, -1)},"metadata":${metadataText(object.metadata ?? {})}`
  for (const name in object) {
    if (name !== 'kind' && name !== 'apiVersion' && name !== 'metadata') {
      text += memberText(name, object[name as keyof KubeObject])
    }
  }
  return `${text}}`
}

function metadataText(metadata: ObjectMeta): string {
  let members = ''
  for (const name in metadata) {
    if (name !== 'resourceVersion' && name !== 'managedFields') {
      members += memberText(name, metadata[name as keyof ObjectMeta])
    }
  }
  const { managedFields } = metadata
  if (managedFields) members += `,"managedFields":[${managedFields.map(ownerText).join(',')}]`
  return `{${members.slice(1)}}`
}

/** Empty for what JSON does not have. */
function memberText(name: string, value: unknown): string {
  const text = JSON.stringify(value)
  return text === undefined ? '' : `,${JSON.stringify(name)}:${text}`
}

/** The JSON of one owner: what it owns is most often a set whose text is known. */
function ownerText(owner: ManagedFields[number]): string {
  const { fieldsV1, ...who } = owner
  const known = fieldsV1 && textOfKnown(fieldsV1 as FieldSet)
  return known === undefined ? JSON.stringify(owner) : withMember(JSON.stringify(who), `"fieldsV1":${known}`)
}

/** The JSON of an object with further members at its end. */
function withMember(object: string, members: string): string {
  if (members === '') return object
  return object === '{}' ? `{${members}}` : `${object.slice(0, -1)},${members}}`
}

const metadataBeginning = '"metadata":{'

/** Spares an object that was just stored its second encoding: its JSON is what was stored, with the revision put in. */
export function noteJson(object: KubeObject, stored: string, revision: number): void {
  const at = stored.indexOf(metadataBeginning) + metadataBeginning.length
  encoded.set(object, `${stored.slice(0, at)}"resourceVersion":"${revision}",${stored.slice(at)}`)
}

/** What was stored, at its revision. */
export function fromStored(text: string, revision: number): KubeObject {
  const object = JSON.parse(text) as KubeObject
  return atRevision(object, revision)
}

/** Stamps and freezes a private copy. */
export function atRevision(object: KubeObject, revision: number): KubeObject {
  object.metadata ??= {}
  object.metadata.resourceVersion = String(revision)
  return deepFreeze(object)
}

/** A frozen object as it is at a later revision, at which nothing else has changed. */
export function atLaterRevision(object: KubeObject, revision: number): KubeObject {
  return atRevision({ ...object, metadata: { ...object.metadata } }, revision)
}

/** `object` with its kind in front. */
export function typed<T extends KubeObject>(kind: Kind, object: T): T {
  const { kind: _kind, apiVersion: _apiVersion, ...rest } = object
  return { ...typeOf(kind), ...rest } as T
}

function typeOf(kind: Kind): { kind: string; apiVersion: string } {
  return { kind: kind.kind, apiVersion: apiVersionOf(kind) }
}

const encoded = new WeakMap<KubeObject, string>()

/** The JSON of a frozen object, made once. */
export function jsonOf(object: KubeObject): string {
  const known = encoded.get(object)
  if (known !== undefined) return known
  const text = JSON.stringify(object)
  if (Object.isFrozen(object)) encoded.set(object, text)
  return text
}

const messages = new WeakMap<KubeObject, Uint8Array>()

/** The protobuf message of a frozen object of `kind`, made once: as it is in lists. */
export function messageOf(kind: Kind, object: KubeObject): Uint8Array {
  const known = messages.get(object)
  if (known) return known
  const message = encodeMessage(kind.definition, object)
  if (Object.isFrozen(object)) messages.set(object, message)
  return message
}

/** The same in its envelope. */
export const protobufOf = (kind: Kind, object: KubeObject) => inEnvelope(typeOf(kind), messageOf(kind, object))

/** The JSON of an item of a list: lists of Kubernetes leave `kind` and `apiVersion` of their items out. */
export function itemJsonOf(kind: Kind, object: KubeObject): string {
  const text = jsonOf(object)
  const beginning = `{"kind":"${kind.kind}","apiVersion":"${apiVersionOf(kind)}",`
  return text.startsWith(beginning) ? `{${text.slice(beginning.length)}` : text
}
