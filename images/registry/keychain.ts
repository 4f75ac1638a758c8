import { readFile } from 'node:fs/promises'
import { errnoOf, messageOf } from '../../runtime/base/errors.ts'
import { imageError } from '../errors.ts'
import type { Credentials } from './auth.ts'
import { askHelper } from './credential-helper.ts'
import { type DockerConfig, lookUp } from './docker-config.ts'

/** Finds the user for a repository; undefined when none is known. Throws `IMAGE_CREDENTIALS`. */
export type Keychain = (
  repository: { domain: string; path: string },
  signal?: AbortSignal,
) => Promise<Credentials | undefined>

export interface KeychainOptions {
  /** `config.json` of docker or `auth.json` of podman; the first that is there and knows the registry decides. */
  files: readonly string[]
  /** Folders in which `docker-credential-*` programs are looked for. */
  path: string
}

/**
 * The users that the files know, read again each time, for `docker login` may come at any time. A program that keeps the
 * password comes before what the file itself says, and one for this registry before one for all, as with docker.
 */
export function fileKeychain({ files, path }: KeychainOptions): Keychain {
  return async (repository, signal) => {
    for (const file of files) {
      const config = await readConfig(file)
      if (!config) continue
      const server = repository.domain === 'docker.io' ? 'https://index.docker.io/v1/' : repository.domain
      const program = config.credHelpers?.[server] ?? config.credHelpers?.[repository.domain] ?? config.credsStore
      const kept = program ? await askHelper({ program, server, path, signal }) : undefined
      const found = kept ?? lookUp(config.auths ?? {}, repository)[0]
      if (found) return found
    }
    return undefined
  }
}

async function readConfig(file: string): Promise<DockerConfig | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(file, 'utf8'))
    if (typeof parsed !== 'object' || parsed === null) throw new TypeError('it is no object')
    return parsed
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return undefined
    throw imageError('IMAGE_CREDENTIALS', `read ${file}: ${messageOf(error)}`, { cause: error })
  }
}
