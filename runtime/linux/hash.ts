import { onPool, own } from './own-exports.ts'

/**
 * SHA-256 beside what this thread does. Why not node:crypto: its `update` works on the thread that calls it, a fifth of the
 * time that a layer takes to unpack.
 */
export interface PooledHash {
  /** On a thread of libuv's pool, one update at a time; the bytes are in use until it is done. */
  update(bytes: Uint8Array): Promise<void>
  /** The 32 bytes; not during an update, and once. */
  digest(): Buffer
  /** Frees its memory; not during an update. */
  close(): void
}

const sha256Bytes = 32

/** EVP_DigestInit(3). Throws when OpenSSL refuses, as it does without memory. */
export function sha256(): PooledHash {
  const context = own('uintptr_t EVP_MD_CTX_new()')()
  const update = own('int EVP_DigestUpdate(uintptr_t, const void *, size_t)')
  const kind = own('uintptr_t EVP_sha256()')()
  const close = () => void own('void EVP_MD_CTX_free(uintptr_t)')(context)
  try {
    succeed(own('int EVP_DigestInit_ex(uintptr_t, uintptr_t, void *)')(context, kind, null))
  } catch (error) {
    close()
    throw error
  }
  return {
    update: async (bytes) => succeed(await onPool(update, context, bytes, bytes.length)),
    digest() {
      const made = Buffer.alloc(sha256Bytes)
      succeed(own('int EVP_DigestFinal_ex(uintptr_t, void *, void *)')(context, made, null))
      return made
    },
    close,
  }
}

/** OpenSSL answers 1 when all is well. */
function succeed(result: number | bigint): void {
  if (Number(result) !== 1) throw new Error('OpenSSL refuses to hash')
}
