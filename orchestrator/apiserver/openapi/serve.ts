/** `/openapi/v2` and `/openapi/v3`: built when first asked for, then kept. */
import type { Kind } from '../../api/kinds/kind.ts'
import type { KindTable } from '../../api/kinds/table.ts'
import type { Answer } from '../answer.ts'
import { type Tagged, tagged, taggedAnswer } from '../entity-tag.ts'
import { mediaRangesOf } from '../negotiate.ts'
import { documentV2, documentV3 } from './documents.ts'
import { encodeGnostic } from './gnostic.ts'

export interface OpenApiRequest {
  readonly path: string
  readonly accept: string | undefined
  readonly ifNoneMatch: string | undefined
}

/** What is answered; kubectl does not read an answer whose type has an `@`, which it asks for itself (kube-openapi, handler.go). */
const gnosticType = 'application/com.github.proto-openapi.spec.v2.v1.0+protobuf'
const askedAs = new Set([gnosticType, gnosticType.replace('v2.v1.0', 'v2@v1.0')])

const documents = new WeakMap<KindTable, Map<string, Promise<Tagged>>>()

/** The answer to a path below `/openapi`, or undefined for another path. */
export async function answerOpenApi(kinds: KindTable, request: OpenApiRequest): Promise<Answer | undefined> {
  const { path, ifNoneMatch } = request
  const send = (document: Tagged) => taggedAnswer(document, ifNoneMatch)
  if (path === '/openapi/v2') {
    const wantsProtobuf = wantsGnostic(request.accept)
    return send(await build(kinds, wantsProtobuf ? 'v2.pb' : 'v2', () => buildV2(kinds, wantsProtobuf)))
  }
  if (path === '/openapi/v3') return send(await build(kinds, 'v3', () => buildIndex(kinds)))
  const found = path.startsWith('/openapi/v3/') ? membersOf(kinds, path.slice('/openapi/v3/'.length)) : []
  return found.length > 0 ? send(await buildMember(kinds, path, found)) : undefined
}

/** The protobuf is answered only to who names it: a bare `*` gets JSON. */
function wantsGnostic(accept: string | undefined): boolean {
  return mediaRangesOf(accept).some(({ type }) => askedAs.has(type))
}

function build(kinds: KindTable, name: string, make: () => Promise<Tagged>): Promise<Tagged> {
  const known = documents.get(kinds) ?? new Map<string, Promise<Tagged>>()
  documents.set(kinds, known)
  const found = known.get(name) ?? make()
  known.set(name, found)
  return found
}

async function buildV2(kinds: KindTable, asProtobuf: boolean): Promise<Tagged> {
  const document = await documentV2(kinds.all())
  return asProtobuf
    ? tagged(gnosticType, await encodeGnostic(document))
    : tagged('application/json', JSON.stringify(document))
}

const nameOf = ({ group, version }: Kind) => (group === '' ? `api/${version}` : `apis/${group}/${version}`)

function membersOf(kinds: KindTable, name: string): Kind[] {
  return kinds.all().filter((kind) => nameOf(kind) === name)
}

function buildMember(kinds: KindTable, path: string, members: readonly Kind[]): Promise<Tagged> {
  return build(kinds, path, async () => tagged('application/json', JSON.stringify(await documentV3(members))))
}

/** Clients keep a document for as long as its hash in the index stays the same. */
async function buildIndex(kinds: KindTable): Promise<Tagged> {
  const names = [...new Set(kinds.all().map(nameOf))]
  const entries: [string, { serverRelativeURL: string }][] = []
  // One after the other: all at once would hold up everybody else for a third of a second.
  for (const name of names) {
    const path = `/openapi/v3/${name}`
    const { hash } = await buildMember(kinds, path, membersOf(kinds, name))
    entries.push([name, { serverRelativeURL: `${path}?hash=${hash}` }])
  }
  return tagged('application/json', JSON.stringify({ paths: Object.fromEntries(entries) }))
}
