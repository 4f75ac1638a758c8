import { createHash, type Hash } from 'node:crypto'
import { imageError } from './errors.ts'

/** `sha256:` and 64 hexadecimal digits. */
export type Digest = `sha256:${string}`

const pattern = /^sha256:[a-f0-9]{64}$/

export function isDigest(text: unknown): text is Digest {
  return typeof text === 'string' && pattern.test(text)
}

/**
 * A digest as it stands in a document. Throws `IMAGE_UNSUPPORTED` for other algorithms, which the image specification
 * allows and nobody uses, and `IMAGE_MANIFEST_INVALID` for what is no digest.
 */
export function parseDigest(text: unknown, where: string): Digest {
  if (isDigest(text)) return text
  if (typeof text === 'string' && /^[a-z0-9]+([+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]{32,}$/.test(text)) {
    throw imageError('IMAGE_UNSUPPORTED', `read ${where}: digest ${text} is not a sha256`)
  }
  throw imageError('IMAGE_MANIFEST_INVALID', `read ${where}: ${JSON.stringify(text)} is no digest`)
}

export const hexOf = (digest: Digest): string => digest.slice('sha256:'.length)

export function digestOf(bytes: Uint8Array | string): Digest {
  return finish(newHash().update(bytes))
}

export const newHash = (): Hash => createHash('sha256')
export const finish = (hash: Hash): Digest => `sha256:${hash.digest('hex')}`

/**
 * The chain id of each layer: what lies on what. ChainID(L0) = DiffID(L0), ChainID(n) = digest of
 * "ChainID(n-1) DiffID(n)". Image specification, config.md.
 */
export function chainIds(diffIds: readonly Digest[]): Digest[] {
  const chain: Digest[] = []
  for (const diffId of diffIds) {
    const below = chain.at(-1)
    chain.push(below ? digestOf(`${below} ${diffId}`) : diffId)
  }
  return chain
}
