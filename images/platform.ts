import { arch } from 'node:process'
import { imageError } from './errors.ts'
import type { Descriptor, Index, Platform } from './manifest.ts'

/** This machine in the words of images, which are those of Go. */
export const hostPlatform: Platform = {
  os: 'linux',
  architecture: arch === 'x64' ? 'amd64' : arch,
}

/**
 * The manifest of an index that is for `wanted`: same system and processor; of several variants the plain one, else the
 * first. Throws `IMAGE_PLATFORM_MISSING` naming what there is.
 */
export function choosePlatform(index: Index, where: string, wanted: Platform = hostPlatform): Descriptor {
  const fitting = index.manifests.filter(
    ({ platform }) => platform?.os === wanted.os && platform.architecture === wanted.architecture,
  )
  const chosen = fitting.find(({ platform }) => !platform?.variant || isUsualVariant(platform)) ?? fitting[0]
  if (chosen) return chosen
  // An index of one entry without a platform is what tools write that pack a single image.
  const [only, ...others] = index.manifests
  if (only && others.length === 0 && !only.platform) return only
  const there = index.manifests.flatMap(({ platform }) => (platform ? [nameOf(platform)] : []))
  throw imageError(
    'IMAGE_PLATFORM_MISSING',
    `choose platform of ${where}: it is not for ${nameOf(wanted)}, but for ${there.join(', ') || 'nothing'}`,
  )
}

/** What every processor of that kind can run. */
function isUsualVariant({ architecture, variant }: Platform): boolean {
  return (architecture === 'arm64' && variant === 'v8') || (architecture === 'amd64' && variant === 'v1')
}

export function nameOf({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant ? [variant] : [])].join('/')
}
