/** Paths that are not resources: health, version, discovery. */
import { arch, version as nodeVersion } from 'node:process'
import type { KindTable } from '../api/kinds/table.ts'
import type { Answer } from './answer.ts'
import { discover } from './discovery.ts'
import { tagged, taggedAnswer } from './entity-tag.ts'

/** These answer anybody. */
export const openPaths = ['/livez', '/readyz', '/healthz', '/version']

/** True for a path that needs no certificate: health with its checks, and the version. */
export function isOpenPath(path: string): boolean {
  const clean = path.replace(/\/+$/, '')
  return openPaths.some((open) => clean === open || (open !== '/version' && clean.startsWith(`${open}/`)))
}

/** The API that we speak. `coracle` marks the build. */
const versionInfo = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: 'v1.36.0+coracle',
  gitCommit: '',
  gitTreeState: 'clean',
  // What Kubernetes says of a build without a date.
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: `node ${nodeVersion}`,
  compiler: 'node',
  platform: `linux/${arch === 'x64' ? 'amd64' : arch}`,
}

const ok: Answer = { status: 200, contentType: 'text/plain; charset=utf-8', body: 'ok' }

/** Checks by name; each throws when its part is not well. */
export type HealthChecks = Readonly<Record<string, () => void>>

export interface PathSources {
  readonly kinds: KindTable
  readonly checks: HealthChecks
  readonly accept: string | undefined
  readonly ifNoneMatch: string | undefined
  readonly query: URLSearchParams
}

/** The answer to a path, or undefined when there is nothing there. */
export function answerPath(path: string, sources: PathSources): Answer | undefined {
  const clean = path.length > 1 ? path.replace(/\/+$/, '') : path
  if (clean === '/version') return jsonAnswer(versionInfo)
  if (clean === '' || clean === '/') return jsonAnswer({ paths: rootPaths(sources.kinds) })
  if (isOpenPath(clean)) return healthAnswer(clean, sources)
  const found = discover(sources.kinds, clean, sources.accept)
  return found && taggedAnswer(tagged(found.contentType, `${JSON.stringify(found.body)}\n`), sources.ifNoneMatch)
}

function jsonAnswer(value: unknown): Answer {
  return { status: 200, contentType: 'application/json', body: `${JSON.stringify(value)}\n` }
}

function rootPaths(kinds: KindTable): string[] {
  const groups = [
    ...new Set(
      kinds.all().map(({ group, version }) => (group === '' ? `/api/${version}` : `/apis/${group}/${version}`)),
    ),
  ]
  return [...new Set(['/api', '/apis', ...groups, '/openapi/v2', '/openapi/v3', ...openPaths])].sort()
}

/** Source: k8s.io/apiserver/pkg/server/healthz/healthz.go. */
function healthAnswer(path: string, { checks, query }: PathSources): Answer | undefined {
  const [, root = '', name] = path.split('/')
  const entries = Object.entries(checks).filter(([each]) => name === undefined || each === name)
  if (name !== undefined && entries.length === 0) return undefined
  const excluded = name === undefined ? query.getAll('exclude') : []
  const lines = entries.map(([each, check]) =>
    excluded.includes(each) ? `[+]${each} excluded: ok` : line(each, check),
  )
  const unknown = excluded.filter((each) => each !== '' && !Object.hasOwn(checks, each))
  if (unknown.length > 0) {
    const list = unknown.map((each) => JSON.stringify(each)).join(',')
    lines.push(`warn: some health checks cannot be excluded: no matches for ${list}`)
  }
  const failed = lines.some((each) => each.startsWith('[-]'))
  if (!failed && !query.has('verbose')) return ok
  const summary = `${root} check ${failed ? 'failed' : 'passed'}`
  return {
    status: failed ? 500 : 200,
    contentType: 'text/plain; charset=utf-8',
    body: `${lines.join('\n')}\n${summary}\n`,
  }
}

function line(name: string, check: () => void): string {
  try {
    check()
    return `[+]${name} ok`
  } catch {
    return `[-]${name} failed: reason withheld`
  }
}
