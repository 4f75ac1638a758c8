/** metav1.PartialObjectMetadata and its list, which the schema does not have: metadata alone, as message 1. */
import type { KubeObject } from '../types.ts'
import { messageEncoder, writeEnvelope } from './encode.ts'
import { magic } from './field-numbers.ts'
import { BackwardWriter } from './writer.ts'

const meta = 'io.k8s.apimachinery.pkg.apis.meta.v1'
const metadataField = 1
const itemsField = 2

type Typed = Pick<KubeObject, 'apiVersion' | 'kind'>

/** A PartialObjectMetadata in its envelope. */
export function encodePartial(partial: Typed & { metadata?: object }): Uint8Array {
  return inEnvelope(partial, (writer) => writeMetadata(writer, partial))
}

/** A PartialObjectMetadataList in its envelope. */
export function encodePartialList(
  list: Typed & { metadata: object; items: readonly { metadata?: object }[] },
): Uint8Array {
  return inEnvelope(list, (writer) => {
    // From the last byte to the first.
    for (const item of list.items.toReversed()) writer.nested(itemsField, () => writeMetadata(writer, item))
    writer.nested(metadataField, () => messageEncoder(`${meta}.ListMeta`)(writer, list.metadata))
  })
}

function writeMetadata(writer: BackwardWriter, { metadata = {} }: { metadata?: object }): void {
  writer.nested(metadataField, () => messageEncoder(`${meta}.ObjectMeta`)(writer, metadata))
}

function inEnvelope(type: Typed, writeRaw: (writer: BackwardWriter) => void): Uint8Array {
  const writer = new BackwardWriter()
  writeEnvelope(writer, type, () => writeRaw(writer))
  writer.bytes(magic)
  return writer.result()
}
