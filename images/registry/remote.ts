import { type Clock, systemClock } from '../../runtime/base/clock.ts'
import { imageError } from '../errors.ts'
import type { Descriptor } from '../manifest.ts'
import { parseReference, type Reference } from '../reference.ts'
import type { RegistryAccess } from './access.ts'
import { RegistryClient } from './client.ts'
import { nameOf, type Repository } from './endpoints.ts'
import type { Answer } from './http.ts'
import { indexedIn, isAbsent, referrersByTag } from './referrers-tag.ts'
import type { Access } from './session.ts'

/** What a registry has, without fetching it. */
export interface RemoteImages {
  /** The tags of a repository. Throws `IMAGE_NOT_FOUND`, `IMAGE_UNAUTHORIZED`, `IMAGE_REGISTRY`. */
  tags(repository: string, access?: Partial<Access>): Promise<string[]>
  /** What refers to an image: signatures, lists of contents; with a type, only those. Throws like `tags`. */
  referrers(ref: string, access?: Partial<Access> & { artifactType?: string }): Promise<Descriptor[]>
  /** Removes the manifest of a name with a digest from its registry. Throws like `tags`, and `IMAGE_UNSUPPORTED`. */
  remove(ref: string, access?: Partial<Access>): Promise<void>
  close(): void
}

/** A registry that always has another page is left at this one. */
const mostPages = 1000

/** Opens no connection yet. */
export function openRemoteImages(access: RegistryAccess, clock: Clock = systemClock): RemoteImages {
  const client = new RegistryClient({ clock, random: Math.random, ...access })
  return {
    tags: (name, given) => tagsOf(client, repositoryOf(parseReference(name)), { ...nobody, ...given }),
    referrers: async (ref, given) => referrersOf(client, parseReference(ref), { ...nobody, ...given }),
    remove: (ref, given) => remove(client, parseReference(ref), { ...nobody, ...given }),
    close: () => client.close(),
  }
}

const nobody: Access = { auth: undefined, signal: undefined }
const repositoryOf = ({ domain, path }: Reference): Repository => ({ domain, path })

/** Distribution specification, end-8. */
async function tagsOf(client: RegistryClient, repository: Repository, access: Access): Promise<string[]> {
  const tags: string[] = []
  await eachPage(client, { repository, path: 'tags/list', ...access }, (bytes) => {
    const { tags: some } = parseObject(bytes, `tags of ${nameOf(repository)}`)
    // A repository without tags says null.
    if (some !== null && !(Array.isArray(some) && some.every((tag) => typeof tag === 'string'))) {
      throw imageError('IMAGE_REGISTRY', `read tags of ${nameOf(repository)}: the answer has no list of tags`)
    }
    tags.push(...(some ?? []))
  })
  return tags
}

/** Distribution specification, end-12; registries without it keep an index under a tag that is made of the digest. */
async function referrersOf(
  client: RegistryClient,
  reference: Reference,
  { artifactType, ...access }: Access & { artifactType?: string },
): Promise<Descriptor[]> {
  const repository = repositoryOf(reference)
  const digest = reference.digest ?? (await client.manifest(repository, reference.tag ?? '', access)).digest
  const found: Descriptor[] = []
  const where = `referrers of ${nameOf(repository)}@${digest}`
  const query = artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`
  try {
    const first = { repository, path: `referrers/${digest}${query}`, ...access }
    await eachPage(client, first, (bytes) => found.push(...indexedIn(bytes, { where })))
  } catch (error) {
    if (!isAbsent(error)) throw error
    found.push(...(await referrersByTag(client, { repository, digest }, access)))
  }
  // A registry may leave the choice to us (OCI-Filters-Applied); choosing twice changes nothing.
  return found.filter((each) => artifactType === undefined || each.artifactType === artifactType)
}

async function remove(client: RegistryClient, reference: Reference, access: Access): Promise<void> {
  const repository = repositoryOf(reference)
  if (reference.digest === undefined) {
    throw imageError('IMAGE_REFERENCE_INVALID', `remove ${nameOf(repository)}: the name has no digest`)
  }
  const path = `manifests/${reference.digest}`
  const answer = await client.request({
    repository,
    path,
    method: 'DELETE',
    action: 'pull,push,delete',
    ...access,
  })
  const verb = `remove ${path} of ${nameOf(repository)}`
  if (answer.status === 405) throw imageError('IMAGE_UNSUPPORTED', `${verb}: the registry removes nothing`)
  if (answer.status !== 202) throw await client.refused(answer, verb)
  answer.discard()
}

async function eachPage(
  client: RegistryClient,
  first: Access & { repository: Repository; path: string },
  read: (bytes: Buffer) => void,
): Promise<void> {
  let path: string | undefined = first.path
  for (let page = 0; path !== undefined; page++) {
    if (page === mostPages) {
      throw imageError('IMAGE_REGISTRY', `read ${first.path} of ${nameOf(first.repository)}: more than ${page} pages`)
    }
    const { answer, bytes } = await client.ask({ ...first, path })
    read(bytes)
    path = nextPage(answer, first)
  }
}

/** `Link: </v2/a/b/tags/list?last=x&n=2>; rel="next"` (RFC 8288), as a path below the repository. */
function nextPage({ header, url }: Answer, { path }: { path: string }): string | undefined {
  const link = /<([^>]*)>\s*;[^,]*\brel="?next"?/i.exec(header('link') ?? '')?.[1]
  if (link === undefined) return undefined
  // Only the query is taken: another host or repository would be none of what was asked for.
  const next = URL.parse(link, url.href)
  return next ? `${path.split('?')[0]}${next.search}` : undefined
}

function parseObject(bytes: Buffer, where: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(bytes.toString())
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw imageError('IMAGE_REGISTRY', `read ${where}: the answer is no JSON object`)
}
