import { CoracleError, messageOf } from '../../runtime/base/errors.ts'
import { type Digest, digestOf, isDigest } from '../digest.ts'
import { imageError } from '../errors.ts'
import { type Descriptor, maximumDocumentBytes, mediaTypes } from '../manifest.ts'
import { readAtMost, refusal, unreachable } from './answers.ts'
import { type Endpoint, endpointsOf, nameOf, originOf, type Repository } from './endpoints.ts'
import type { Answer } from './http.ts'
import { Retries } from './retry.ts'
import { type Access, type RegistryOptions, type RegistryRequest, RegistrySession } from './session.ts'

/** A document with the digest that its bytes have. */
export interface FetchedManifest {
  bytes: Buffer
  mediaType: string | undefined
  digest: Digest
}

const accept = [mediaTypes.ociIndex, mediaTypes.ociManifest, mediaTypes.dockerList, mediaTypes.dockerManifest].join(
  ', ',
)
/** A server that breaks every connection after a few bytes is not waited for for ever. */
const mostResumes = 100

/**
 * Speaks to registries: anonymous, Basic and Bearer, and through mirrors when it reads. Every error names registry,
 * repository and cause; those that may pass are tried again a few times.
 */
export class RegistryClient {
  readonly #options: RegistryOptions
  readonly #session: RegistrySession

  constructor(options: RegistryOptions) {
    this.#options = options
    this.#session = new RegistrySession(options)
  }

  /** Ends the connections that are kept. */
  close(): void {
    this.#session.close()
  }

  /**
   * The manifest or index of a tag or digest. Throws `IMAGE_NOT_FOUND`, `IMAGE_UNAUTHORIZED`, `IMAGE_REGISTRY`,
   * `IMAGE_DIGEST_MISMATCH`.
   */
  manifest(repository: Repository, tagOrDigest: string, access: Access): Promise<FetchedManifest> {
    const path = `manifests/${tagOrDigest}`
    return this.#anywhere(repository, access.signal, async (endpoint) => {
      const request = { repository, path, headers: { accept }, ...access }
      const answer = await this.#session.successful(request, endpoint)
      const bytes = await this.#document(answer, `fetch ${path} of ${nameOf(repository)}`)
      const digest = digestOf(bytes)
      if (isDigest(tagOrDigest) && tagOrDigest !== digest) {
        throw imageError('IMAGE_DIGEST_MISMATCH', `fetch ${path} of ${nameOf(repository)}: the answer is ${digest}`)
      }
      return { bytes, digest, mediaType: answer.header('content-type')?.split(';')[0]?.trim().toLowerCase() }
    })
  }

  /**
   * The bytes of a blob, unverified, of which `skip` are there already. A connection that breaks is resumed where it broke;
   * a mirror that fails is replaced by the next. Throws like `manifest`.
   */
  async *blob(
    repository: Repository,
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    access: Access & { skip?: number },
  ): AsyncGenerator<Buffer> {
    let received = access.skip ?? 0
    const endpoints = this.#endpoints(repository)
    const retries = new Retries(this.#options)
    for (let resumes = 0; ; resumes++) {
      try {
        const endpoint = endpoints[0] ?? originOf(repository, [])
        for await (const chunk of this.#blobFrom(endpoint, { repository, descriptor, access, from: received })) {
          received += chunk.length
          retries.progressed()
          yield chunk
        }
        return
      } catch (error) {
        access.signal?.throwIfAborted()
        if (endpoints.length > 1) endpoints.shift()
        else if (resumes > mostResumes) throw error
        else await retries.pauseAfter(error, access.signal)
      }
    }
  }

  async *#blobFrom(
    endpoint: Endpoint,
    o: { repository: Repository; descriptor: Pick<Descriptor, 'digest' | 'size'>; access: Access; from: number },
  ): AsyncGenerator<Buffer> {
    const { repository, access, from } = o
    const path = `blobs/${o.descriptor.digest}`
    if (from > 0 && from === o.descriptor.size) return
    const headers = from > 0 ? { range: `bytes=${from}-` } : {}
    let answer = await this.#session.identified({ repository, path, headers, ...access }, endpoint)
    // RFC 9110, section 15.5.17: it has this range not, or knows no ranges of it.
    const unranged = answer.status === 416 || (answer.status === 206 && (startOf(answer) ?? from) !== from)
    if (from > 0 && unranged) {
      answer.discard()
      answer = await this.#session.identified({ repository, path, ...access }, endpoint)
    }
    await this.#session.requireSuccess(answer, { repository, path, ...access }, endpoint)
    let skip = answer.status === 206 ? 0 : from
    try {
      for await (const chunk of answer.body) {
        const rest = chunk.subarray(Math.min(skip, chunk.length))
        skip -= chunk.length - rest.length
        if (rest.length > 0) yield rest
      }
    } catch (error) {
      access.signal?.throwIfAborted()
      throw unreachable(`fetch ${path} of ${nameOf(repository)}`, error)
    }
  }

  /** A small answer to a question that mirrors may answer too. `path` is below the repository. Throws like `manifest`. */
  async ask(request: Omit<RegistryRequest, 'action' | 'body'>): Promise<{ answer: Answer; bytes: Buffer }> {
    return this.#anywhere(request.repository, request.signal, async (endpoint) => {
      const answer = await this.#session.successful(request, endpoint)
      const bytes = await this.#document(answer, `fetch ${request.path} of ${nameOf(request.repository)}`)
      return { answer, bytes }
    })
  }

  /**
   * Any request to the registry itself; the answer may be of any status but 401, 403, 429 and those above 499, which are
   * tried again. Throws `IMAGE_UNAUTHORIZED`, `IMAGE_REGISTRY`.
   */
  async request(request: RegistryRequest): Promise<Answer> {
    const endpoint = originOf(request.repository, this.#options.insecureRegistries)
    const retries = new Retries(this.#options)
    for (;;) {
      try {
        const answer = await this.#session.identified(request, endpoint)
        const { status } = answer
        if (status < 500 && status !== 401 && status !== 403 && status !== 429 && status !== 408) return answer
        await this.#session.requireSuccess(answer, request, endpoint)
      } catch (error) {
        // What a POST has begun is not begun again without knowing whether it was.
        if (request.method === 'PATCH') throw error
        await retries.pauseAfter(error, request.signal)
      }
    }
  }

  /** The refusal that an answer is, for those that call `request`. */
  refused(answer: Answer, verb: string): Promise<CoracleError> {
    return refusal(answer, verb, this.#options.clock.now())
  }

  #endpoints(repository: Repository): Endpoint[] {
    return endpointsOf(repository, this.#options)
  }

  /** Does it at the first endpoint where it succeeds; only the last one, the registry itself, is tried again. */
  async #anywhere<Result>(
    repository: Repository,
    signal: AbortSignal | undefined,
    act: (endpoint: Endpoint) => Promise<Result>,
  ): Promise<Result> {
    const endpoints = this.#endpoints(repository)
    const retries = new Retries(this.#options)
    const failures: string[] = []
    for (;;) {
      const [endpoint = originOf(repository, []), ...others] = endpoints
      try {
        return await act(endpoint)
      } catch (error) {
        signal?.throwIfAborted()
        if (others.length === 0) {
          await retries.pauseAfter(failures.length === 0 ? error : withMirrors(error, failures), signal)
          continue
        }
        failures.push(`${endpoint.host}: ${messageOf(error)}`)
        endpoints.shift()
      }
    }
  }

  async #document(answer: Answer, verb: string): Promise<Buffer> {
    try {
      return await readAtMost(answer, maximumDocumentBytes, verb)
    } catch (error) {
      throw unreachable(verb, error)
    }
  }
}

/** The first byte of a partial answer, if it says so. RFC 9110, section 14.4. */
function startOf(answer: Answer): number | undefined {
  const first = /^bytes (\d+)-/.exec(answer.header('content-range') ?? '')?.[1]
  return first === undefined ? undefined : Number(first)
}

function withMirrors(error: unknown, failures: readonly string[]): unknown {
  if (!(error instanceof CoracleError)) return error
  const { code, hint, facts, retryable } = error
  const message = `${error.message}; its mirrors: ${failures.join('; ')}`
  return new CoracleError(message, { code, facts, retryable, cause: error, ...(hint ? { hint } : {}) })
}
