import { type Digest, isDigest, parseDigest } from './digest.ts'
import { imageError } from './errors.ts'

/** What a document says of other bytes. Image specification 1.1, descriptor.md. */
export interface Descriptor {
  mediaType: string
  digest: Digest
  size: number
  platform?: Platform
  /** What an artifact is that this leads to. */
  artifactType?: string
  annotations?: Readonly<Record<string, string>>
  /** The bytes themselves, in base64. */
  data?: string
}

export interface Platform {
  os: string
  architecture: string
  variant?: string
}

/** One image for one kind of machine. */
export interface Manifest {
  kind: 'manifest'
  mediaType: string
  config: Descriptor
  layers: Descriptor[]
  /** The manifest that this one says something about. */
  subject?: Descriptor
  artifactType?: string
  annotations?: Readonly<Record<string, string>>
}

/** One image for several kinds of machine, or the contents of a layout. */
export interface Index {
  kind: 'index'
  mediaType: string
  manifests: Descriptor[]
}

/** The part of an image's configuration that says how to run it, in the words of the image specification. */
export interface ImageConfig {
  User?: string
  ExposedPorts?: Readonly<Record<string, unknown>>
  Env?: readonly string[]
  Entrypoint?: readonly string[]
  Cmd?: readonly string[]
  Volumes?: Readonly<Record<string, unknown>>
  WorkingDir?: string
  Labels?: Readonly<Record<string, string>>
  StopSignal?: string
  Shell?: readonly string[]
  Healthcheck?: Readonly<Record<string, unknown>>
}

/** An image's configuration document. */
export interface ImageDocument {
  architecture: string
  os: string
  variant?: string
  created?: string
  author?: string
  config: ImageConfig
  diffIds: Digest[]
  history: HistoryEntry[]
}

/** How one layer, or a step without one, came about. */
export interface HistoryEntry {
  /** RFC 3339. */
  created?: string
  createdBy: string
  comment?: string
  emptyLayer: boolean
}

export const mediaTypes = {
  ociManifest: 'application/vnd.oci.image.manifest.v1+json',
  ociIndex: 'application/vnd.oci.image.index.v1+json',
  ociConfig: 'application/vnd.oci.image.config.v1+json',
  ociLayer: 'application/vnd.oci.image.layer.v1.tar',
  dockerManifest: 'application/vnd.docker.distribution.manifest.v2+json',
  dockerList: 'application/vnd.docker.distribution.manifest.list.v2+json',
  dockerConfig: 'application/vnd.docker.container.image.v1+json',
} as const

/** Documents are small; a registry that sends more than this is not to be trusted. */
export const maximumDocumentBytes = 8 * 1024 * 1024

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * A manifest or an index, by what it is, not by what it was announced as: a document that could be read as both is
 * refused (CVE-2021-41190). Throws `IMAGE_MANIFEST_INVALID`, `IMAGE_UNSUPPORTED`.
 */
export function parseManifest(bytes: Uint8Array, where: string, announced?: string): Manifest | Index {
  const value = parseJson(bytes, where)
  if (value.schemaVersion === 1) {
    throw imageError('IMAGE_UNSUPPORTED', `read ${where}: it is a manifest of Docker's old schema 1`, {
      hint: 'push the image again with a current tool',
    })
  }
  if (value.schemaVersion !== 2) throw broken(where, `schemaVersion is ${JSON.stringify(value.schemaVersion)}, not 2`)
  const hasManifests = Array.isArray(value.manifests)
  const hasLayers = Array.isArray(value.layers) || isObject(value.config)
  if (hasManifests === hasLayers) throw broken(where, 'it is neither clearly a manifest nor clearly an index')
  const fallback = hasManifests ? mediaTypes.ociIndex : mediaTypes.ociManifest
  const mediaType = typeof value.mediaType === 'string' ? value.mediaType : (announced ?? fallback)
  const indexTypes: string[] = [mediaTypes.ociIndex, mediaTypes.dockerList]
  const manifestTypes: string[] = [mediaTypes.ociManifest, mediaTypes.dockerManifest]
  if (!(hasManifests ? indexTypes : manifestTypes).includes(mediaType)) {
    throw broken(where, `its media type ${mediaType} does not fit what it holds`)
  }
  if (hasManifests) return { kind: 'index', mediaType, manifests: descriptors(value.manifests, where) }
  if (!Array.isArray(value.layers)) throw broken(where, 'it has no list of layers')
  const [config] = descriptors([value.config], where)
  if (!config) throw broken(where, 'it has no configuration')
  const { subject, artifactType, annotations } = value
  const [about] = isObject(subject) ? descriptors([subject], where) : []
  return {
    kind: 'manifest',
    mediaType,
    config,
    layers: descriptors(value.layers, where),
    ...(about ? { subject: about } : {}),
    ...(typeof artifactType === 'string' ? { artifactType } : {}),
    ...(isObject(annotations) ? { annotations: annotations as Record<string, string> } : {}),
  }
}

function descriptors(values: unknown, where: string): Descriptor[] {
  if (!Array.isArray(values)) throw broken(where, 'it has no list of descriptors')
  return values.map((value: unknown) => {
    if (!isObject(value) || typeof value.mediaType !== 'string') throw broken(where, 'a descriptor has no media type')
    const { mediaType, size, annotations, artifactType, data } = value
    if (!Number.isSafeInteger(size) || Number(size) < 0) throw broken(where, `a descriptor has size ${String(size)}`)
    return {
      mediaType,
      digest: parseDigest(value.digest, where),
      size: Number(size),
      ...platformOf(value.platform),
      ...(typeof data === 'string' ? { data } : {}),
      ...(typeof artifactType === 'string' ? { artifactType } : {}),
      ...(isObject(annotations) ? { annotations: annotations as Record<string, string> } : {}),
    }
  })
}

function platformOf(value: unknown): { platform?: Platform } {
  if (!isObject(value) || typeof value.os !== 'string' || typeof value.architecture !== 'string') return {}
  const { os, architecture, variant } = value
  return { platform: { os, architecture, ...(typeof variant === 'string' && variant ? { variant } : {}) } }
}

/** The configuration document of an image. Throws `IMAGE_MANIFEST_INVALID`. */
export function parseImageDocument(bytes: Uint8Array, where: string): ImageDocument {
  const value = parseJson(bytes, where)
  const { rootfs, config = {}, architecture, os, variant, created, author } = value
  const diffIds = isObject(rootfs) ? rootfs.diff_ids : undefined
  if (!Array.isArray(diffIds) || !diffIds.every(isDigest)) throw broken(where, 'rootfs.diff_ids is no list of digests')
  if (typeof os !== 'string' || typeof architecture !== 'string') throw broken(where, 'it names no platform')
  return {
    os,
    architecture,
    ...(typeof variant === 'string' ? { variant } : {}),
    ...(typeof created === 'string' ? { created } : {}),
    ...(typeof author === 'string' && author !== '' ? { author } : {}),
    config: checkConfig(config, where),
    diffIds,
    history: historyEntries(value.history),
  }
}

/** What is not as the specification has it is left out: nothing depends on it. */
function historyEntries(history: unknown): HistoryEntry[] {
  if (!Array.isArray(history)) return []
  const text = (value: unknown) => (typeof value === 'string' ? value : undefined)
  return history.filter(isObject).map((entry) => {
    const [created, comment] = [text(entry.created), text(entry.comment)]
    return {
      createdBy: text(entry.created_by) ?? '',
      emptyLayer: entry.empty_layer === true,
      ...(created === undefined ? {} : { created }),
      ...(comment === undefined ? {} : { comment }),
    }
  })
}

const texts = ['User', 'WorkingDir', 'StopSignal']
const lists = ['Env', 'Entrypoint', 'Cmd', 'Shell']
const maps = ['ExposedPorts', 'Volumes', 'Labels', 'Healthcheck']

/** Old tools write `null` for what is not set; that is dropped, the rest is kept as it is. */
function checkConfig(config: unknown, where: string): ImageConfig {
  if (config === null) return {}
  if (!isObject(config)) throw broken(where, 'config is no object')
  const set = Object.entries(config).filter(([, value]) => value !== null)
  for (const [key, value] of set) {
    const isList = Array.isArray(value) && value.every((item) => typeof item === 'string')
    const fits = texts.includes(key)
      ? typeof value === 'string'
      : lists.includes(key)
        ? isList
        : !maps.includes(key) || isObject(value)
    if (!fits) throw broken(where, `config.${key} has the wrong type`)
  }
  return Object.fromEntries(set) as ImageConfig
}

export type Compression = 'none' | 'gzip' | 'zstd'

/** The media types of layers that we write. */
export const layerMediaTypes: Readonly<Record<Compression, string>> = {
  none: mediaTypes.ociLayer,
  gzip: `${mediaTypes.ociLayer}+gzip`,
  zstd: `${mediaTypes.ociLayer}+zstd`,
}

/**
 * How a layer of that media type is packed. The specification lets tools call a compressed layer by Docker's types too.
 * Throws `IMAGE_UNSUPPORTED`: for encrypted layers, foreign ones and those that are no file tree.
 */
export function compressionOf({ mediaType, digest }: Pick<Descriptor, 'mediaType' | 'digest'>): Compression {
  switch (mediaType) {
    case mediaTypes.ociLayer:
    case 'application/vnd.docker.image.rootfs.diff.tar':
    case 'application/vnd.oci.image.layer.nondistributable.v1.tar':
      return 'none'
    case 'application/vnd.oci.image.layer.v1.tar+gzip':
    case 'application/vnd.docker.image.rootfs.diff.tar.gzip':
    case 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip':
    case 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip':
      return 'gzip'
    case 'application/vnd.oci.image.layer.v1.tar+zstd':
    case 'application/vnd.docker.image.rootfs.diff.tar.zstd':
    case 'application/vnd.oci.image.layer.nondistributable.v1.tar+zstd':
      return 'zstd'
    default:
      throw imageError('IMAGE_UNSUPPORTED', `unpack layer ${digest}: ${mediaType} is not known`)
  }
}

/** True for the configuration of a container image; artifacts of other kinds cannot be run. */
export function isImageConfig(mediaType: string): boolean {
  return mediaType === mediaTypes.ociConfig || mediaType === mediaTypes.dockerConfig
}

function parseJson(bytes: Uint8Array, where: string): Record<string, unknown> {
  if (bytes.length > maximumDocumentBytes) throw broken(where, `it has ${bytes.length} bytes`)
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch (error) {
    throw imageError('IMAGE_MANIFEST_INVALID', `read ${where}: it is no JSON`, { cause: error })
  }
  if (!isObject(value)) throw broken(where, 'it is no object')
  return value
}

function broken(where: string, reason: string) {
  return imageError('IMAGE_MANIFEST_INVALID', `read ${where}: ${reason}`)
}
