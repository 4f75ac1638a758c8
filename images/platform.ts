import { arch, config } from 'node:process'
import { imageError } from './errors.ts'
import { type Descriptor, type Index, mediaTypes, type Platform } from './manifest.ts'

/** This machine in the words of images, which are those of Go. */
export const hostPlatform: Platform = {
  os: 'linux',
  architecture: { x64: 'amd64', ia32: '386' }[arch as string] ?? arch,
  ...(arch === 'arm' ? { variant: `v${armVersion()}` } : {}),
}

function armVersion(): string {
  return String((config.variables as { arm_version?: string | number }).arm_version ?? 7)
}

const otherNames: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  i386: ['386'],
  i686: ['386'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
}

/** `linux/arm64`, `linux/arm/v7`, or a processor alone, as people write it. Throws `IMAGE_PLATFORM_MISSING`. */
export function parsePlatform(text: string): Platform {
  const parts = text.toLowerCase().split('/')
  const [os = '', named = '', given, ...rest] = parts.length === 1 ? ['linux', ...parts] : parts
  if (rest.length > 0 || ![os, named, given ?? 'v1'].every((part) => /^[a-z0-9][a-z0-9._-]*$/.test(part))) {
    throw imageError('IMAGE_PLATFORM_MISSING', `read platform ${JSON.stringify(text)}: it is not os/architecture`, {
      hint: 'write linux/amd64 or linux/arm/v7',
    })
  }
  const [architecture, usual] = otherNames[named] ?? [named]
  const variant = given ?? usual
  return { os, architecture, ...(variant ? { variant } : {}) }
}

/**
 * The entries of an index that run on `wanted`, the best first: same system and processor, and of its variants the highest
 * that it can run. Processors of one family run what was made for the earlier ones.
 */
function fittingEntries(index: Index, wanted: Platform): Descriptor[] {
  const most = levelOf(wanted)
  return index.manifests
    .flatMap((entry) => (entry.platform && isSameKind(entry.platform, wanted) ? [{ entry, of: entry.platform }] : []))
    .filter(({ of }) => levelOf(of) <= most)
    .sort((a, b) => levelOf(b.of) - levelOf(a.of))
    .map(({ entry }) => entry)
}

/** True when a machine of kind `wanted` can run what was made for `made`. */
export function canRun(made: Platform, wanted: Platform): boolean {
  return isSameKind(made, wanted) && levelOf(made) <= levelOf(wanted)
}

const isSameKind = (a: Platform, b: Platform) => a.os === b.os && a.architecture === b.architecture

/** `v7` is 7; without a variant what every such processor has. */
function levelOf({ architecture, variant }: Platform): number {
  const usual = architecture === 'arm' ? 7 : architecture === 'arm64' ? 8 : 1
  return variant === undefined ? usual : Number(/^v(\d+(?:\.\d+)?)/.exec(variant)?.[1] ?? usual)
}

const indexTypes: readonly string[] = [mediaTypes.ociIndex, mediaTypes.dockerList]

/**
 * The entry of an index to go on with: the best for `wanted`, else one that names no platform and leads to more, or is the
 * only one (tools write that for a single image). Throws `IMAGE_PLATFORM_MISSING` naming what there is.
 */
export function choosePlatform(index: Index, where: string, wanted: Platform = hostPlatform): Descriptor {
  const [best] = fittingEntries(index, wanted)
  const unnamed = index.manifests.filter(({ platform }) => !platform)
  const other = unnamed.find(({ mediaType }) => indexTypes.includes(mediaType))
  const only = index.manifests.length === 1 ? unnamed[0] : undefined
  const chosen = best ?? other ?? only
  if (chosen) return chosen
  const there = index.manifests.flatMap(({ platform }) => (platform ? [nameOf(platform)] : []))
  throw imageError(
    'IMAGE_PLATFORM_MISSING',
    `choose platform of ${where}: it is not for ${nameOf(wanted)}, but for ${there.join(', ') || 'nothing'}`,
  )
}

export function nameOf({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant ? [variant] : [])].join('/')
}
