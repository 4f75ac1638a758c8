import { mkdir, open, readdir, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../runtime/base/errors.ts'
import { type Digest, hexOf } from './digest.ts'

/**
 * When a container has last used an image: an empty file `uses/<manifest>`, whose time it is. Losing one costs nothing but
 * the image's turn when room must be made.
 */
export class LastUses {
  readonly #folder: string

  constructor(root: string) {
    this.#folder = join(root, 'uses')
  }

  /** `now` in milliseconds since the epoch. */
  async note(manifest: Digest, now: number): Promise<void> {
    const path = this.#pathOf(manifest)
    await mkdir(this.#folder, { recursive: true })
    await using _file = await open(path, 'a', 0o600)
    await utimes(path, now / 1000, now / 1000)
  }

  /** Milliseconds since the epoch; 0 when no container ever has. */
  async of(manifest: Digest): Promise<number> {
    try {
      return (await stat(this.#pathOf(manifest))).mtimeMs
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return 0
      throw error
    }
  }

  /** Forgets all images but these. */
  async keepOnly(manifests: ReadonlySet<Digest>): Promise<void> {
    const names = await readdir(this.#folder).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return []
      throw error
    })
    for (const name of names) {
      if (!manifests.has(`sha256:${name}`)) await rm(join(this.#folder, name), { force: true })
    }
  }

  #pathOf(manifest: Digest): string {
    return join(this.#folder, hexOf(manifest))
  }
}
