import { type Digest, isDigest } from './digest.ts'
import { imageError } from './errors.ts'

/** The name of an image, complete: `docker.io/library/nginx:1.27`. */
export interface Reference {
  /** Registry with its port: `docker.io`, `localhost:5000`, `[::1]:5000`. */
  domain: string
  /** Repository within the registry: `library/nginx`. */
  path: string
  /** Undefined only with a digest. */
  tag: string | undefined
  digest: Digest | undefined
}

const defaultDomain = 'docker.io'
const defaultTag = 'latest'
const maximumName = 255

// The grammar of distribution/reference, reference.go and regexp.go.
const label = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const host = `(?:${label}(?:\\.${label})*|\\[[a-fA-F0-9:]+\\])`
const domainPattern = new RegExp(`^${host}(?::[0-9]+)?$`)
const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'
const pathPattern = new RegExp(`^${component}(?:/${component})*$`)
const tagPattern = /^\w[\w.-]{0,127}$/

/**
 * Reads a name as users write it: `nginx` is docker.io/library/nginx:latest. With a digest, the digest decides and the
 * tag is for people. Throws `IMAGE_REFERENCE_INVALID`.
 */
export function parseReference(text: string): Reference {
  const invalid = (reason: string, hint?: string) =>
    imageError('IMAGE_REFERENCE_INVALID', `read image name ${JSON.stringify(text)}: ${reason}`, hint ? { hint } : {})
  if (/^[a-f0-9]{64}$/.test(text)) throw invalid('it is a bare digest', `write sha256:${text} for an image's id`)
  const [named = '', digest, ...rest] = text.split('@')
  if (rest.length > 0) throw invalid('it has more than one @')
  if (digest !== undefined && !isDigest(digest)) throw invalid(`${digest} is no sha256 digest`)
  const { name, tag } = splitTag(named)
  if (tag !== undefined && !tagPattern.test(tag)) throw invalid(`${JSON.stringify(tag)} is no tag`)
  const { domain, path } = splitDomain(name)
  if (!domainPattern.test(domain)) throw invalid(`${JSON.stringify(domain)} is no registry`)
  if (!pathPattern.test(path)) {
    const lower = path.toLowerCase()
    throw invalid(`${JSON.stringify(path)} is no repository`, pathPattern.test(lower) ? 'use lower case' : undefined)
  }
  if (`${domain}/${path}`.length > maximumName) throw invalid(`it is longer than ${maximumName} characters`)
  return { domain, path, tag: tag ?? (digest === undefined ? defaultTag : undefined), digest }
}

/** A colon after the last slash begins the tag; one before it belongs to the registry's port. */
function splitTag(named: string): { name: string; tag: string | undefined } {
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  return colon < 0 ? { name: named, tag: undefined } : { name: named.slice(0, colon), tag: named.slice(colon + 1) }
}

/** The first part is a registry if it looks like one; `library/` holds the official images of Docker Hub. */
function splitDomain(name: string): { domain: string; path: string } {
  const slash = name.indexOf('/')
  const first = name.slice(0, Math.max(slash, 0))
  const isRegistry = /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase()
  const domain = slash > 0 && isRegistry ? first : defaultDomain
  const path = slash > 0 && isRegistry ? name.slice(slash + 1) : name
  if (domain !== defaultDomain && domain !== 'index.docker.io') return { domain, path }
  return { domain: defaultDomain, path: path.includes('/') ? path : `library/${path}` }
}

/** The complete name: `docker.io/library/nginx:latest`, `host/app@sha256:…`. */
export function formatReference({ domain, path, tag, digest }: Reference): string {
  return `${domain}/${path}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`
}

/** The name without tag, with a digest: what the same bytes are always found under. */
export function pinned(reference: Reference, digest: Digest): string {
  return formatReference({ ...reference, tag: undefined, digest })
}
