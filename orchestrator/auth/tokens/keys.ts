/** The key that signs tokens of service accounts, and those that are still believed. */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from '../../../runtime/base/errors.ts'
import { authError } from '../errors.ts'

export type TokenAlgorithm = 'ES256' | 'RS256'

export interface PublicTokenKey {
  /** As in kube-apiserver: the hash of the key. */
  readonly id: string
  readonly algorithm: TokenAlgorithm
  readonly key: KeyObject
}

export interface TokenKeys {
  readonly signing: PublicTokenKey
  readonly privateKey: KeyObject
  /** The signing key's other half first, then older ones. */
  readonly trusted: readonly PublicTokenKey[]
}

/**
 * Reads `sa.key` in `folder`, or makes it (ES256) the first time. `sa.pub` may hold further public keys, one PEM block
 * each, and so may `morePems`: their tokens are believed until they expire. Throws BAD_TOKEN_KEY for a key that is
 * neither ES256 nor RS256.
 */
export function openTokenKeys(folder: string, morePems: readonly string[] = []): TokenKeys {
  const keyFile = join(folder, 'sa.key')
  const publicFile = join(folder, 'sa.pub')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  if (!existsSync(keyFile)) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    writeOwn(publicFile, publicKey.export({ type: 'spki', format: 'pem' }).toString())
    writeOwn(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  }
  const others = existsSync(publicFile) ? [readFileSync(publicFile, 'utf8')] : []
  return readTokenKeys(readFileSync(keyFile, 'utf8'), [...others, ...morePems])
}

/** The same from texts: a private key, and what holds further keys, public or private. Throws BAD_TOKEN_KEY. */
export function readTokenKeys(signingPem: string, otherPems: readonly string[]): TokenKeys {
  return tokenKeys(
    read(createPrivateKey, signingPem),
    otherPems.flatMap(blocksOf).map((pem) => read(createPublicKey, pem)),
  )
}

function read(open: (pem: string) => KeyObject, pem: string): KeyObject {
  try {
    return open(pem)
  } catch (error) {
    throw authError('BAD_TOKEN_KEY', `read a key for tokens: ${messageOf(error)}`, error)
  }
}

/** The same from keys at hand. */
export function tokenKeys(privateKey: KeyObject, others: readonly KeyObject[] = []): TokenKeys {
  const signing = described(createPublicKey(privateKey))
  const older = others.map(described).filter(({ id }) => id !== signing.id)
  return { signing, privateKey, trusted: [signing, ...older] }
}

function described(key: KeyObject): PublicTokenKey {
  const id = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest('base64url')
  return { id, algorithm: algorithmOf(key), key }
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): TokenAlgorithm {
  if (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= 2048) return 'RS256'
  if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256'
  throw authError(
    'BAD_TOKEN_KEY',
    `sign tokens with a key of type ${asymmetricKeyType}: neither P-256 nor RSA of 2048 bits`,
  )
}

const blocksOf = (pem: string): string[] => pem.match(/-----BEGIN [^-]+-----[^-]+-----END [^-]+-----/g) ?? []

function writeOwn(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
