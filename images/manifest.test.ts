import { describe, expect, it } from 'vitest'
import { chainIds, digestOf, isDigest } from './digest.ts'
import { compressionOf, mediaTypes, parseImageDocument, parseManifest } from './manifest.ts'

const digest = (letter: string) => `sha256:${letter.repeat(64)}`
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))
const aDescriptor = (more: Record<string, unknown> = {}) => ({
  mediaType: mediaTypes.ociConfig,
  digest: digest('a'),
  size: 7,
  ...more,
})
const aManifest = (more: Record<string, unknown> = {}) => ({
  schemaVersion: 2,
  config: aDescriptor(),
  layers: [aDescriptor({ mediaType: mediaTypes.ociLayer })],
  ...more,
})

describe('parseManifest', () => {
  it('a manifest and an index are told apart by what they hold', () => {
    expect(parseManifest(bytes(aManifest()), 'x').kind).toBe('manifest')
    expect(parseManifest(bytes({ schemaVersion: 2, manifests: [aDescriptor()] }), 'x').kind).toBe('index')
  })

  it.each([
    ['both at once (CVE-2021-41190)', aManifest({ manifests: [] })],
    ['neither', { schemaVersion: 2 }],
    ['another type than announced', aManifest({ mediaType: mediaTypes.ociIndex })],
    ['a negative size', aManifest({ config: aDescriptor({ size: -1 }) })],
    ['half a byte', aManifest({ config: aDescriptor({ size: 0.5 }) })],
    ['no digest', aManifest({ config: aDescriptor({ digest: 'x' }) })],
    ['another schema', aManifest({ schemaVersion: 3 })],
    ['a list', []],
  ])('%s: is refused', (_, value) => {
    expect(() => parseManifest(bytes(value), 'x')).toThrow(expect.objectContaining({ code: 'IMAGE_MANIFEST_INVALID' }))
  })

  it('schema 1 and sha512: are refused as not supported', () => {
    expect(() => parseManifest(bytes({ schemaVersion: 1 }), 'x')).toThrow(/schema 1/)
    const sha512 = aManifest({ config: aDescriptor({ digest: `sha512:${'a'.repeat(128)}` }) })
    expect(() => parseManifest(bytes(sha512), 'x')).toThrow(expect.objectContaining({ code: 'IMAGE_UNSUPPORTED' }))
  })
})

describe('parseImageDocument', () => {
  const aDocument = (config: unknown) => bytes({ os: 'linux', architecture: 'amd64', rootfs: { diff_ids: [] }, config })

  it('what is null was not set', () => {
    expect(parseImageDocument(aDocument({ Cmd: null, Env: ['A=b'] }), 'x').config).toEqual({ Env: ['A=b'] })
    expect(parseImageDocument(aDocument(null), 'x').config).toEqual({})
  })

  it.each([{ Env: 'A=b' }, { Cmd: [1] }, { User: 7 }, { Volumes: [] }])('%j: is refused', (config) => {
    expect(() => parseImageDocument(aDocument(config), 'x')).toThrow(/wrong type/)
  })
})

describe('compressionOf', () => {
  it.each([
    ['application/vnd.oci.image.layer.v1.tar', 'none'],
    ['application/vnd.oci.image.layer.v1.tar+gzip', 'gzip'],
    ['application/vnd.oci.image.layer.v1.tar+zstd', 'zstd'],
    ['application/vnd.docker.image.rootfs.diff.tar.gzip', 'gzip'],
  ])('%s', (mediaType, compression) => {
    expect(compressionOf({ mediaType, digest: digestOf('') })).toBe(compression)
  })

  it('encrypted layers: are refused', () => {
    const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip+encrypted'
    expect(() => compressionOf({ mediaType, digest: digestOf('') })).toThrow(/not known/)
  })
})

describe('chainIds', () => {
  it('the first is the layer itself, the next depend on it', () => {
    const [a, b] = [digestOf('a'), digestOf('b')]
    expect(chainIds([a, b])).toEqual([a, digestOf(`${a} ${b}`)])
    expect(isDigest(`sha256:${'A'.repeat(64)}`)).toBe(false)
  })
})
