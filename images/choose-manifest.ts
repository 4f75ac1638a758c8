import type { Digest } from './digest.ts'
import { imageError } from './errors.ts'
import { type Platform, parseManifest } from './manifest.ts'
import { choosePlatform } from './platform.ts'
import type { FetchedManifest } from './registry/client.ts'

export interface Choice {
  /** The image's name, for errors. */
  name: string
  wanted: Platform
  fetch: (digest: Digest) => Promise<FetchedManifest>
}

/** Indexes within indexes are legal, but nobody needs more of them. */
const deepest = 4

/**
 * The manifest of the image for one kind of machine, through indexes and those within them. Throws
 * `IMAGE_PLATFORM_MISSING`, `IMAGE_MANIFEST_INVALID`, `IMAGE_UNSUPPORTED`, and what `fetch` throws.
 */
export async function chooseManifest(top: FetchedManifest, choice: Choice): Promise<FetchedManifest> {
  return choose(top, choice, [])
}

async function choose(at: FetchedManifest, choice: Choice, above: readonly Digest[]): Promise<FetchedManifest> {
  const where = `${choice.name} (${at.digest})`
  const parsed = parseManifest(at.bytes, where, at.mediaType)
  if (parsed.kind === 'manifest') return at
  const path = [...above, at.digest]
  if (path.length > deepest) {
    throw imageError('IMAGE_MANIFEST_INVALID', `read ${where}: more than ${deepest} indexes within each other`)
  }
  const { digest } = choosePlatform(parsed, where, choice.wanted)
  if (path.includes(digest)) {
    throw imageError('IMAGE_MANIFEST_INVALID', `read ${where}: the index leads back to ${digest}`)
  }
  return choose(await choice.fetch(digest), choice, path)
}
