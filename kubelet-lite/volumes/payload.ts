/** The files of ConfigMap, Secret, downward API and projected volumes. */
import type { Container, Pod, Volume } from '../../orchestrator/api/types.ts'
import { fieldValue, formatMap, resourceFieldValue } from '../downward.ts'
import type { VolumeInput, VolumeKind } from './kinds.ts'

export interface FileContent {
  bytes: Buffer
  /** Permission bits. */
  mode: number
  /** Whose file it is, where it is not root's. */
  owner?: number
}

/** By relative path. */
export type Payload = Map<string, FileContent>

type Source = Pick<Volume, 'configMap' | 'secret' | 'downwardAPI'>
interface KeyToPath {
  key: string
  path: string
  mode?: number
}

/** Reads everything that the volume shows. Throws when a source that is not optional is missing. */
export async function payloadOf(input: VolumeInput, volume: Volume, kind: VolumeKind): Promise<Payload> {
  if (kind !== 'projected') return payloadOfSource(input, volume, modeOf(volume[kind]))
  const payload: Payload = new Map()
  for (const source of volume.projected?.sources ?? []) {
    const mode = volume.projected?.defaultMode ?? 0o644
    const parts = source.serviceAccountToken
      ? await tokenFile(input, source.serviceAccountToken, mode)
      : await payloadOfSource(input, projectedSource(source), mode)
    for (const [path, file] of parts) payload.set(path, file)
  }
  return payload
}

const modeOf = (source: unknown) => (source as { defaultMode?: number } | undefined)?.defaultMode ?? 0o644

type Projection = NonNullable<NonNullable<NonNullable<Volume['projected']>['sources']>[number]>

async function tokenFile(
  { pod, tokens }: VolumeInput,
  { path, ...projection }: NonNullable<Projection['serviceAccountToken']>,
  mode: number,
): Promise<Payload> {
  const owner = userOf(pod)
  const isSomebodys = owner !== undefined || pod.spec?.securityContext?.fsGroup !== undefined
  const bytes = Buffer.from(await tokens(pod, projection))
  return new Map([
    [inside(path), { bytes, mode: isSomebodys ? 0o600 : mode, ...(owner === undefined ? {} : { owner }) }],
  ])
}

/** The one user as whom all containers run, if their manifest says so: a token is his alone (upstream: FsUserFrom). */
function userOf({ spec }: Pod): number | undefined {
  const all = [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])]
  const users = all.map(({ securityContext }) => securityContext?.runAsUser ?? spec?.securityContext?.runAsUser)
  return users.every((user) => user === users[0]) ? users[0] : undefined
}

function projectedSource(source: Projection): Source {
  const { configMap, secret, downwardAPI, ...others } = source
  const unknown = Object.keys(others)
  if (unknown.length > 0) throw new Error(`projected source ${unknown.join(', ')} is not supported`)
  const { name, ...rest } = secret ?? {}
  return {
    ...(configMap ? { configMap } : {}),
    ...(secret ? { secret: { ...rest, ...(name === undefined ? {} : { secretName: name }) } } : {}),
    ...(downwardAPI ? { downwardAPI } : {}),
  } as Source
}

async function payloadOfSource(input: VolumeInput, source: Source, mode: number): Promise<Payload> {
  const namespace = input.pod.metadata?.namespace ?? ''
  if (source.configMap) {
    const { name = '', items, optional = false } = source.configMap
    const found = await input.reader.configMap(namespace, name)
    if (!found && !optional) throw new Error(`configmap "${name}" not found`)
    const texts = Object.entries((found?.data ?? {}) as Record<string, string>)
    const binaries = Object.entries((found?.binaryData ?? {}) as Record<string, string>)
    const all = new Map([...texts.map(utf8), ...binaries.map(base64)])
    return choose(all, items, { mode, optional, what: `configmap "${name}"` })
  }
  if (source.secret) {
    const { secretName = '', items, optional = false } = source.secret
    const found = await input.reader.secret(namespace, secretName)
    if (!found && !optional) throw new Error(`secret "${secretName}" not found`)
    const all = new Map(Object.entries((found?.data ?? {}) as Record<string, string>).map(base64))
    return choose(all, items, { mode, optional, what: `secret "${secretName}"` })
  }
  return downward(input, source.downwardAPI?.items ?? [], mode)
}

const utf8 = ([key, text]: [string, string]) => [key, Buffer.from(text)] as const
const base64 = ([key, text]: [string, string]) => [key, Buffer.from(text, 'base64')] as const

function choose(
  all: ReadonlyMap<string, Buffer>,
  items: readonly KeyToPath[] | undefined,
  options: { mode: number; optional: boolean; what: string },
): Payload {
  if (!items) return new Map([...all].map(([key, bytes]) => [key, { bytes, mode: options.mode }]))
  const payload: Payload = new Map()
  for (const item of items) {
    const bytes = all.get(item.key)
    if (!bytes && !options.optional) throw new Error(`${options.what} references non-existent key: ${item.key}`)
    if (bytes) payload.set(inside(item.path), { bytes, mode: item.mode ?? options.mode })
  }
  return payload
}

type DownwardItem = NonNullable<NonNullable<Volume['downwardAPI']>['items']>[number]

function downward(input: VolumeInput, items: readonly DownwardItem[], mode: number): Payload {
  const files = items.map((item) => {
    const file = { bytes: Buffer.from(downwardValue(input, item)), mode: item.mode ?? mode }
    return [inside(item.path), file] as const
  })
  return new Map(files)
}

function downwardValue({ pod, node }: VolumeInput, item: DownwardItem): string {
  if (item.fieldRef) return fieldValue(pod, item.fieldRef.fieldPath, { ...node, podIPs: [] })
  if (!item.resourceFieldRef) return formatMap({})
  return resourceFieldValue(pod, firstContainer(pod), item.resourceFieldRef, node)
}

function firstContainer(pod: Pod): Container {
  const [first] = pod.spec?.containers ?? []
  if (!first) throw new Error('the pod has no containers')
  return first
}

/** A relative path that stays inside; the API server has checked it, a static pod has nobody but us. */
function inside(path: string): string {
  const parts = path.split('/')
  if (path === '' || path.startsWith('/') || parts.includes('..')) throw new Error(`invalid path "${path}"`)
  return parts.filter((part) => part !== '' && part !== '.').join('/')
}
