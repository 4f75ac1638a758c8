/** Paths that are not resources: health, version, discovery. */
import { arch, version as nodeVersion } from 'node:process'
import type { KindTable } from '../api/kinds/table.ts'
import type { Answer } from './answer.ts'
import { discover } from './discovery.ts'

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

/** The answer to a path, or undefined when there is nothing there. */
export function answerPath(
  path: string,
  sources: { kinds: KindTable; checks: HealthChecks; accept: string | undefined; verbose: boolean },
): Answer | undefined {
  const clean = path.length > 1 ? path.replace(/\/+$/, '') : path
  if (clean === '/version') return jsonAnswer(versionInfo)
  if (clean === '' || clean === '/') return jsonAnswer({ paths: rootPaths(sources.kinds) })
  if (isOpenPath(clean)) return healthAnswer(clean, sources)
  const found = discover(sources.kinds, clean, sources.accept)
  return found && { status: 200, contentType: found.contentType, body: `${JSON.stringify(found.body)}\n` }
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

function healthAnswer(
  path: string,
  { checks, verbose }: { checks: HealthChecks; verbose: boolean },
): Answer | undefined {
  const [, root = '', name] = path.split('/')
  const entries = Object.entries(checks).filter(([each]) => name === undefined || each === name)
  if (name !== undefined && entries.length === 0) return undefined
  const lines = entries.map(([each, check]) => {
    try {
      check()
      return `[+]${each} ok`
    } catch {
      return `[-]${each} failed: reason withheld`
    }
  })
  const failed = lines.some((line) => line.startsWith('[-]'))
  if (!failed && !verbose) return ok
  const summary = `${root} check ${failed ? 'failed' : 'passed'}`
  return {
    status: failed ? 500 : 200,
    contentType: 'text/plain; charset=utf-8',
    body: `${lines.join('\n')}\n${summary}\n`,
  }
}
