/** As client-go's metadata client asks: k8s.io/client-go/metadata/metadata.go. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { anApi } from '../../test/fixtures/api.ts'
import { decodeProtobuf } from '../api/protobuf/decode.ts'
import { writeEnvelope } from '../api/protobuf/encode.ts'
import { magic } from '../api/protobuf/field-numbers.ts'
import { fieldsOf, textOf } from '../api/protobuf/wire.ts'
import { BackwardWriter } from '../api/protobuf/writer.ts'

const protobuf = 'application/vnd.kubernetes.protobuf'
const asked = (as: string) => `${protobuf};as=${as};g=meta.k8s.io;v=v1`
const acceptAll = (as: string) => `${asked(as)},application/json;as=${as};g=meta.k8s.io;v=v1,application/json`

const partsOf = (message: Uint8Array, number: number) =>
  fieldsOf(message).flatMap((field) => (field.number === number && field.bytes ? [field.bytes] : []))
const partOf = (message: Uint8Array, number: number) => partsOf(message, number)[0] ?? new Uint8Array()

function unpack(body: Uint8Array) {
  expect([...body.subarray(0, 4)]).toEqual([...magic])
  const envelope = body.subarray(4)
  const type = partOf(envelope, 1)
  return { type: `${textOf(partOf(type, 1))} ${textOf(partOf(type, 2))}`, message: partOf(envelope, 2) }
}

/** The metadata in message 1, read by the decoder of whole objects. */
function metadataOf(message: Uint8Array, kind: 'ObjectMeta' | 'ListMeta') {
  const writer = new BackwardWriter()
  writeEnvelope(writer, {}, () => writer.bytes(partOf(message, 1)))
  writer.bytes(magic)
  const {
    kind: _k,
    apiVersion: _a,
    ...metadata
  } = decodeProtobuf(writer.result(), `io.k8s.apimachinery.pkg.apis.meta.v1.${kind}`)
  return metadata
}

describe('PartialObjectMetadata in protobuf', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  beforeAll(async () => {
    api = await anApi()
    for (const name of ['a', 'b']) {
      await api.call('POST', '/api/v1/namespaces/default/secrets', {
        body: {
          metadata: { name, labels: { of: name }, finalizers: ['x.org/f'] },
          stringData: { password: 'hunter2' },
        },
      })
    }
  })
  afterAll(() => api.close())

  const secrets = '/api/v1/namespaces/default/secrets'
  const read = (url: string, accept: string) => api.call('GET', url, { headers: { accept } })

  it('get: the same metadata as in JSON, and nothing else', async () => {
    const { headers, raw } = await read(`${secrets}/a`, acceptAll('PartialObjectMetadata'))
    expect(headers['content-type']).toBe(protobuf)
    const { type, message } = unpack(raw)
    expect(type).toBe('meta.k8s.io/v1 PartialObjectMetadata')
    expect(fieldsOf(message)).toHaveLength(1)
    const { body } = await read(`${secrets}/a`, 'application/json')
    expect(metadataOf(message, 'ObjectMeta')).toEqual(body.metadata)
    expect(raw.includes('hunter2')).toBe(false)
  })

  it('list: pages, with the metadata of each item', async () => {
    const { raw, headers } = await read(`${secrets}?limit=1`, acceptAll('PartialObjectMetadataList'))
    expect(headers['content-type']).toBe(protobuf)
    const { type, message } = unpack(raw)
    expect(type).toBe('meta.k8s.io/v1 PartialObjectMetadataList')
    const list = metadataOf(message, 'ListMeta')
    expect(list).toMatchObject({ continue: expect.any(String), remainingItemCount: 1 })
    const next = await read(`${secrets}?continue=${list.continue}`, acceptAll('PartialObjectMetadataList'))
    const names = [message, unpack(next.raw).message].flatMap((page) =>
      partsOf(page, 2).map((item) => metadataOf(item, 'ObjectMeta').name),
    )
    expect(names).toEqual(['a', 'b'])
  })

  it('watch: an event is a frame with the metadata, a bookmark too: after the state, and at the end', async () => {
    const url = `${secrets}?watch=1&timeoutSeconds=1&allowWatchBookmarks=true`
    const { raw, headers } = await read(url, acceptAll('PartialObjectMetadata'))
    expect(headers['content-type']).toBe(`${protobuf};stream=watch`)
    const events: unknown[] = []
    for (let at = 0; at < raw.length; ) {
      const end = at + 4 + raw.readUInt32BE(at)
      const event = raw.subarray(at + 4, end)
      const { type, message } = unpack(partOf(partOf(event, 2), 1))
      events.push([textOf(partOf(event, 1)), type, metadataOf(message, 'ObjectMeta').name])
      at = end
    }
    const partial = 'meta.k8s.io/v1 PartialObjectMetadata'
    expect(events).toEqual([
      ['ADDED', partial, 'a'],
      ['ADDED', partial, 'b'],
      ['BOOKMARK', partial, undefined],
      ['BOOKMARK', partial, undefined],
    ])
  })

  it('a Table has no protobuf: JSON when that is named, too, and refused when not', async () => {
    expect((await read(secrets, asked('Table'))).status).toBe(406)
    const both = await read(secrets, acceptAll('Table'))
    expect(both.body.kind).toBe('Table')
  })
})
