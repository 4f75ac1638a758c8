import { imageError } from './errors.ts'
import type { ImageConfig } from './manifest.ts'

/**
 * Instructions of a Dockerfile that change only the configuration, as `commit --change` and `import --change` take them.
 * IMPLEMENTED: CMD ENTRYPOINT ENV EXPOSE LABEL STOPSIGNAL USER VOLUME WORKDIR. NOT IMPLEMENTED, refused: all others.
 * Source: the reference of Dockerfiles; CMD and ENTRYPOINT without brackets are run by `/bin/sh -c`. Throws `IMAGE_BUILD`.
 */
export function changeConfig(config: ImageConfig, changes: readonly string[]): ImageConfig {
  let changed = config
  for (const line of changes) changed = { ...changed, ...change(changed, line) }
  return changed
}

function change(config: ImageConfig, line: string): ImageConfig {
  const [, word = '', rest = ''] = /^\s*(\S+)\s+(.*\S)\s*$/s.exec(line) ?? []
  const keys = (there: Readonly<Record<string, unknown>> | undefined, names: readonly string[]) => ({
    ...there,
    ...Object.fromEntries(names.map((name) => [name, {}])),
  })
  switch (word.toUpperCase()) {
    case 'CMD':
      return { Cmd: commandOf(rest) }
    case 'ENTRYPOINT':
      return { Entrypoint: commandOf(rest) }
    case 'ENV':
      return { Env: withVariables(config.Env ?? [], pairsOf(rest, line)) }
    case 'LABEL':
      return { Labels: { ...config.Labels, ...Object.fromEntries(pairsOf(rest, line)) } }
    case 'EXPOSE':
      return {
        ExposedPorts: keys(
          config.ExposedPorts,
          rest.split(/\s+/).map((port) => portOf(port, line)),
        ),
      }
    case 'VOLUME':
      return { Volumes: keys(config.Volumes, listIn(rest) ?? rest.split(/\s+/)) }
    case 'USER':
      return { User: rest }
    case 'WORKDIR':
      return { WorkingDir: rest.startsWith('/') ? rest : `${config.WorkingDir ?? ''}/${rest}`.replace(/^\/*/, '/') }
    case 'STOPSIGNAL':
      return { StopSignal: rest }
    default:
      throw refused(line, word === '' ? 'it has no value' : `${word} is not supported`)
  }
}

function commandOf(text: string): string[] {
  return listIn(text) ?? ['/bin/sh', '-c', text]
}

/** A JSON list of texts, or undefined for what is not written as one. */
function listIn(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : undefined
  } catch {
    // Like Docker: what only begins like a list is a command for the shell.
    return undefined
  }
}

/** `A=1 B="x y"`, or the old form `A the rest`. */
function pairsOf(text: string, line: string): [string, string][] {
  const first = /^[^\s=]+/.exec(text)?.[0] ?? ''
  if (text[first.length] !== '=') {
    const value = text.slice(first.length).trim()
    if (value === '') throw refused(line, `${first} has no value`)
    return [[first, value]]
  }
  const pairs: [string, string][] = []
  const pattern = /([^\s=]+)=((?:"(?:\\.|[^"\\])*"|'[^']*'|\\.|[^\s"'\\])*)(?:\s+|$)/gy
  let end = 0
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    pairs.push([match[1] ?? '', unquoted(match[2] ?? '')])
    end = pattern.lastIndex
  }
  if (end !== text.length) throw refused(line, `${JSON.stringify(text.slice(end))} is no name=value`)
  return pairs
}

function unquoted(text: string): string {
  return text.replaceAll(
    /"((?:\\.|[^"\\])*)"|'([^']*)'|\\(.)/g,
    (_all, double?: string, single?: string, one?: string) =>
      double === undefined ? (single ?? one ?? '') : double.replaceAll(/\\(["\\$])/g, '$1'),
  )
}

function withVariables(env: readonly string[], pairs: readonly [string, string][]): string[] {
  const names = new Set(pairs.map(([name]) => name))
  return [
    ...env.filter((each) => !names.has(each.split('=')[0] ?? '')),
    ...pairs.map(([name, value]) => `${name}=${value}`),
  ]
}

function portOf(port: string, line: string): string {
  if (!/^\d{1,5}(-\d{1,5})?(\/(tcp|udp|sctp))?$/.test(port)) throw refused(line, `${JSON.stringify(port)} is no port`)
  return port.includes('/') ? port : `${port}/tcp`
}

function refused(line: string, reason: string) {
  return imageError('IMAGE_BUILD', `change the configuration by ${JSON.stringify(line)}: ${reason}`)
}
