/** `/openapi/v2` and `/openapi/v3`: built when first asked for, then kept. */
import { createHash } from 'node:crypto'
import type { Kind } from '../../api/kinds/kind.ts'
import type { KindTable } from '../../api/kinds/table.ts'
import type { Answer } from '../answer.ts'
import { mediaRangesOf } from '../negotiate.ts'
import { documentV2, documentV3 } from './documents.ts'
import { encodeGnostic } from './gnostic.ts'

interface Built {
  readonly contentType: string
  readonly body: string | Uint8Array
  readonly hash: string
}

export interface OpenApiRequest {
  readonly path: string
  readonly accept: string | undefined
  readonly ifNoneMatch: string | undefined
}

const gnosticType = 'application/com.github.proto-openapi.spec.v2@v1.0+protobuf'

const documents = new WeakMap<KindTable, Map<string, Promise<Built>>>()

/** The answer to a path below `/openapi`, or undefined for another path. */
export async function answerOpenApi(kinds: KindTable, request: OpenApiRequest): Promise<Answer | undefined> {
  const { path } = request
  if (path === '/openapi/v2') {
    const wantsProtobuf = wantsGnostic(request.accept)
    return send(request, await build(kinds, wantsProtobuf ? 'v2.pb' : 'v2', () => buildV2(kinds, wantsProtobuf)))
  }
  if (path === '/openapi/v3') return send(request, await build(kinds, 'v3', () => buildIndex(kinds)))
  const found = path.startsWith('/openapi/v3/') ? membersOf(kinds, path.slice('/openapi/v3/'.length)) : []
  return found.length > 0 ? send(request, await buildMember(kinds, path, found)) : undefined
}

/** The protobuf is answered only to who names it: a bare `*` gets JSON. */
function wantsGnostic(accept: string | undefined): boolean {
  return mediaRangesOf(accept).some(({ type }) => type === gnosticType)
}

function build(kinds: KindTable, name: string, make: () => Promise<Built>): Promise<Built> {
  const known = documents.get(kinds) ?? new Map<string, Promise<Built>>()
  documents.set(kinds, known)
  const found = known.get(name) ?? make()
  known.set(name, found)
  return found
}

function built(body: string | Uint8Array, contentType: string): Built {
  return { body, contentType, hash: createHash('sha256').update(body).digest('hex').toUpperCase() }
}

async function buildV2(kinds: KindTable, asProtobuf: boolean): Promise<Built> {
  const document = await documentV2(kinds.all())
  return asProtobuf ? built(encodeGnostic(document), gnosticType) : built(JSON.stringify(document), 'application/json')
}

const nameOf = ({ group, version }: Kind) => (group === '' ? `api/${version}` : `apis/${group}/${version}`)

function membersOf(kinds: KindTable, name: string): Kind[] {
  return kinds.all().filter((kind) => nameOf(kind) === name)
}

function buildMember(kinds: KindTable, path: string, members: readonly Kind[]): Promise<Built> {
  return build(kinds, path, async () => built(JSON.stringify(await documentV3(members)), 'application/json'))
}

/** Clients keep a document for as long as its hash in the index stays the same. */
async function buildIndex(kinds: KindTable): Promise<Built> {
  const names = [...new Set(kinds.all().map(nameOf))]
  const entries = await Promise.all(
    names.map(async (name) => {
      const path = `/openapi/v3/${name}`
      const { hash } = await buildMember(kinds, path, membersOf(kinds, name))
      return [name, { serverRelativeURL: `${path}?hash=${hash}` }] as const
    }),
  )
  return built(JSON.stringify({ paths: Object.fromEntries(entries) }), 'application/json')
}

function send({ ifNoneMatch }: OpenApiRequest, { body, contentType, hash }: Built): Answer {
  const headers = { ETag: `"${hash}"`, Vary: 'Accept' }
  if (ifNoneMatch?.includes(hash)) return { status: 304, contentType, body: '', headers }
  return { status: 200, contentType, body, headers }
}
