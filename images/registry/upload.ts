import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { CoracleError } from '../../runtime/base/errors.ts'
import { imageError } from '../errors.ts'
import type { Descriptor } from '../manifest.ts'
import type { RegistryClient } from './client.ts'
import { nameOf, type Repository } from './endpoints.ts'
import type { Answer } from './http.ts'
import type { Access } from './session.ts'

/** A blob that a registry shall have. */
export interface BlobPush extends Access {
  repository: Repository
  blob: Pick<Descriptor, 'digest' | 'size'>
  /** Where its bytes lie. */
  file: string
  /** A repository of the same registry that has it, as far as we know. */
  mountFrom?: string | undefined
  /** Larger blobs are sent in pieces, so that a broken connection costs one piece only. */
  chunkBytes?: number
  onProgress?: ((sent: number) => void) | undefined
}

const usualChunkBytes = 64 * 1024 * 1024
const mostResumes = 5
/** Telling the registry that nothing more comes is only a courtesy. */
const cancelWithinMs = 5_000

/**
 * Sends a blob unless the registry has it or can take it from another repository (distribution specification, end-2, end-4
 * to end-6, end-11). Resolves to what had to be done. Throws `IMAGE_UNAUTHORIZED`, `IMAGE_REGISTRY`.
 */
export async function pushBlob(client: RegistryClient, push: BlobPush): Promise<'there' | 'mounted' | 'sent'> {
  const { repository, blob, mountFrom, auth, signal } = push
  const common = { repository, action: 'pull,push', auth, signal } as const
  const there = await client.request({ ...common, method: 'HEAD', path: `blobs/${blob.digest}` })
  there.discard()
  if (there.status === 200) return 'there'
  const mount = mountFrom ? `?mount=${blob.digest}&from=${encodeURIComponent(mountFrom)}` : ''
  const begun = await client.request({
    ...common,
    method: 'POST',
    path: `blobs/uploads/${mount}`,
    headers: { 'content-length': '0' },
    ...(mountFrom ? { from: mountFrom } : {}),
  })
  if (mountFrom && begun.status === 201) {
    begun.discard()
    return 'mounted'
  }
  if (begun.status !== 202) throw await client.refused(begun, verbOf(push))
  const upload = new Upload(client, push, begun)
  try {
    await upload.send()
  } catch (error) {
    await upload.cancel()
    throw error
  }
  return 'sent'
}

const verbOf = ({ repository, blob }: BlobPush) => `push blob ${blob.digest} to ${nameOf(repository)}`

/** An upload that the registry has begun. Its address changes with every answer. */
class Upload {
  readonly #client: RegistryClient
  readonly #push: BlobPush
  readonly #chunkBytes: number
  #address: URL
  #sent = 0

  constructor(client: RegistryClient, push: BlobPush, begun: Answer) {
    this.#client = client
    this.#push = push
    const least = Number(begun.header('oci-chunk-min-length') ?? 0) || 0
    this.#chunkBytes = Math.max(push.chunkBytes ?? usualChunkBytes, least)
    this.#address = this.#next(begun)
  }

  async send(): Promise<void> {
    const { size } = this.#push.blob
    if (size > this.#chunkBytes) {
      for (let failures = 0; this.#sent < size; ) {
        const before = this.#sent
        try {
          await this.#sendChunk()
        } catch (error) {
          this.#push.signal?.throwIfAborted()
          if (!(error instanceof CoracleError && error.retryable) || ++failures > mostResumes) throw error
          await this.#askHowFar()
        }
        if (this.#sent > before) failures = 0
      }
    }
    await this.#complete()
  }

  /** End-14. */
  async cancel(): Promise<void> {
    const signal = AbortSignal.timeout(cancelWithinMs)
    await this.#request({ method: 'DELETE', signal }).then(
      (answer) => answer.discard(),
      () => {},
    )
  }

  async #sendChunk(): Promise<void> {
    const end = Math.min(this.#sent + this.#chunkBytes, this.#push.blob.size)
    const answer = await this.#request({
      method: 'PATCH',
      headers: {
        'content-type': 'application/octet-stream',
        'content-range': `${this.#sent}-${end - 1}`,
        'content-length': String(end - this.#sent),
      },
      body: () => this.#bytes(this.#sent, end),
    })
    if (answer.status === 416) {
      answer.discard()
      const before = this.#sent
      await this.#askHowFar()
      if (this.#sent !== before) return
    }
    // 201 is what some registries answer to every piece.
    if (answer.status !== 202 && answer.status !== 201) throw await this.#client.refused(answer, verbOf(this.#push))
    this.#address = this.#next(answer)
    this.#sent = end
    answer.discard()
  }

  /** Where the registry wants to go on: end-13. */
  async #askHowFar(): Promise<void> {
    const answer = await this.#request({ method: 'GET' })
    if (answer.status !== 204 && answer.status !== 202) throw await this.#client.refused(answer, verbOf(this.#push))
    answer.discard()
    const last = /^(?:bytes=)?0-(\d+)$/.exec(answer.header('range') ?? '')?.[1]
    // `0-0` is how most registries say that they have nothing.
    const has = last === undefined || last === '0' ? 0 : Number(last) + 1
    if (has > this.#push.blob.size) {
      throw imageError(
        'IMAGE_REGISTRY',
        `${verbOf(this.#push)}: the registry has ${has} bytes of ${this.#push.blob.size}`,
      )
    }
    this.#sent = has
    this.#address = this.#next(answer)
  }

  /** The rest, and with it the digest that all of it has: end-6. */
  async #complete(): Promise<void> {
    const { blob } = this.#push
    const from = this.#sent
    this.#address.searchParams.set('digest', blob.digest)
    const answer = await this.#request({
      method: 'PUT',
      headers: { 'content-type': 'application/octet-stream', 'content-length': String(blob.size - from) },
      ...(from < blob.size ? { body: () => this.#bytes(from, blob.size) } : {}),
    })
    if (answer.status !== 201) throw await this.#client.refused(answer, verbOf(this.#push))
    answer.discard()
  }

  #bytes(start: number, end: number): Readable {
    const stream = createReadStream(this.#push.file, { start, end: end - 1, highWaterMark: 1 << 20 })
    let sent = start
    stream.on('data', (chunk) => {
      sent += chunk.length
      this.#push.onProgress?.(sent)
    })
    // Reading begins when the connection wants it, not with the listener above.
    return stream.pause()
  }

  #request(more: {
    method: 'GET' | 'PATCH' | 'PUT' | 'DELETE'
    headers?: Record<string, string>
    body?: () => Readable
    signal?: AbortSignal
  }): Promise<Answer> {
    const { repository, auth, signal } = this.#push
    return this.#client.request({ repository, action: 'pull,push', path: this.#address.href, auth, signal, ...more })
  }

  /** The address is relative to the one that gave it, and may carry a state of the upload as its query. */
  #next(answer: Answer): URL {
    const location = answer.header('location')
    const url = location === undefined ? this.#address : URL.parse(location, answer.url.href)
    if (!url) throw imageError('IMAGE_REGISTRY', `${verbOf(this.#push)}: the registry names no address for it`)
    return url
  }
}
