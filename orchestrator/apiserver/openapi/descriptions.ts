/**
 * The sentences of the API: read from the declaration files of the installed Kubernetes client, which carry them as
 * comments. Read when somebody asks, never at the start.
 */
import { readFile } from 'node:fs/promises'

export interface Descriptions {
  readonly type?: string
  readonly fields: Readonly<Record<string, string>>
}

const none: Descriptions = { fields: {} }

/** What is said about a definition such as `io.k8s.api.core.v1.Pod`; nothing when the package does not know it. */
export async function describe(definition: string): Promise<Descriptions> {
  for (const name of modelNamesOf(definition)) {
    const text = await readModel(name)
    if (text !== undefined) return parseModel(text)
  }
  return none
}

/** The package calls it `V1Pod`, or `CoreV1Event` where two groups have the same kind. */
function modelNamesOf(definition: string): string[] {
  const [kind = '', version = '', group = ''] = definition.split('.').reverse()
  const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
  return [`${capital(group)}${capital(version)}${kind}`, `${capital(version)}${kind}`]
}

let folder: URL | undefined

async function readModel(name: string): Promise<string | undefined> {
  // To find the package takes a tenth of a millisecond; there are seven hundred models.
  folder ??= new URL('./gen/models/', import.meta.resolve('@kubernetes/client-node'))
  try {
    return await readFile(new URL(`${name}.d.ts`, folder), 'utf8')
  } catch {
    return undefined
  }
}

const comment = String.raw`\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*`

function parseModel(text: string): Descriptions {
  const fields: Record<string, string> = {}
  for (const [, body = '', name = ''] of text.matchAll(new RegExp(`${comment}'(\\w+)'\\??:`, 'g'))) {
    fields[name.replace(/^_/, '')] = plain(body)
  }
  const [, body] = new RegExp(`${comment}export declare class`).exec(text) ?? []
  return body === undefined ? { fields } : { type: plain(body), fields }
}

function plain(body: string): string {
  return body
    .split('\n')
    .map((line) => line.replace(/^\s*\*\s?/, ''))
    .join('\n')
    .trim()
    .replace(/\\(['"\\])/g, '$1')
}
