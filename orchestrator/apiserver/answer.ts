/** What a handler gives back: how it gets onto the wire is `http.ts`' business. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { stringify } from 'yaml'
import type { Kind } from '../api/kinds/kind.ts'
import { apiVersionOf } from '../api/kinds/table.ts'
import { encodeList, encodeProtobuf } from '../api/protobuf/encode.ts'
import { encodePartial, encodePartialList } from '../api/protobuf/partial.ts'
import type { KubeObject, Status } from '../api/types.ts'
import { headerOf, type Incoming } from './incoming.ts'
import { type OutputForm, protobufType, statusEncodingOf } from './negotiate.ts'
import { itemJsonOf, jsonOf, messageOf, protobufOf } from './objects.ts'
import { prettyOf } from './parameters.ts'
import { shownBy } from './shown.ts'
import { type IncludeObject, partialOf, tableOf } from './table.ts'
import type { Listed } from './verbs/list.ts'

/** Several parts are what they are one after the other: of a long list nobody makes one piece. */
export type Body = string | Uint8Array | readonly string[] | readonly Uint8Array[]

export interface Answer {
  readonly status: number
  readonly contentType: string
  readonly body: Body
  readonly headers?: Readonly<Record<string, string>>
}

/** One whose body is in one piece. */
type ShortAnswer = Answer & { readonly body: string | Uint8Array }

/** An answer that writes itself, piece by piece. */
export interface StreamedAnswer {
  readonly stream: (response: ServerResponse) => void | Promise<void>
}

export interface Presentation {
  readonly form: OutputForm
  readonly pretty: boolean
  readonly includeObject: IncludeObject
  readonly now: number
}

/** Text in the asked encoding. `json` is trusted to be JSON. */
function inEncoding(
  json: string,
  { form, pretty }: Pick<Presentation, 'form' | 'pretty'>,
): { contentType: string; body: string } {
  if (form.encoding === 'yaml')
    return { contentType: 'application/yaml', body: stringify(JSON.parse(json), { aliasDuplicateObjects: false }) }
  return {
    contentType: 'application/json',
    body: pretty ? `${JSON.stringify(JSON.parse(json), null, 2)}\n` : `${json}\n`,
  }
}

/** Any value as it is, as text: what has no protobuf. */
function textAnswer(value: unknown, presentation: Presentation, status = 200): Answer {
  return { status, ...inEncoding(JSON.stringify(value), presentation) }
}

function partialAnswer(
  partial: ReturnType<typeof partialOf>,
  { status, ...presentation }: Presentation & { status: number },
): Answer {
  if (presentation.form.encoding === 'protobuf') return binaryAnswer(encodePartial(partial), status)
  return textAnswer(partial, presentation, status)
}

function binaryAnswer(body: Uint8Array, status = 200): Answer {
  return { status, contentType: protobufType, body }
}

/** A Status in the schema. */
export const statusDefinition = 'io.k8s.apimachinery.pkg.apis.meta.v1.Status'

/** A Status. It is never a table; without a presentation it is JSON. */
export function statusAnswer(status: Status, presentation?: Pick<Presentation, 'form' | 'pretty'>): ShortAnswer {
  const code = status.code ?? 200
  const retry = status.details?.retryAfterSeconds
  const headers = retry ? { headers: { 'Retry-After': String(retry) } } : {}
  if (presentation?.form.encoding === 'protobuf') {
    return { status: code, contentType: protobufType, body: encodeProtobuf(statusDefinition, status), ...headers }
  }
  const form = presentation?.form ?? { encoding: 'json' }
  const text = inEncoding(JSON.stringify(status), { form, pretty: presentation?.pretty ?? false })
  return { status: code, ...text, ...headers }
}

/** The Status of what went wrong, as whoever asked reads it. */
export function failureAnswer(status: Status, incoming: Pick<Incoming, 'headers' | 'query'>): ShortAnswer {
  const encoding = statusEncodingOf(headerOf(incoming, 'accept'))
  return statusAnswer(status, { form: { encoding }, pretty: prettyOf(incoming.query) ?? false })
}

/** The same for a request that has not been read, or is not ours to read. */
export function refusalOf(
  status: Status,
  { headers, url = '/' }: Pick<IncomingMessage, 'headers' | 'url'>,
): ShortAnswer {
  return failureAnswer(status, { headers, query: new URLSearchParams(url.split('?')[1]) })
}

/** One object, in the form that the client asked for. */
export function objectAnswer(
  kind: Kind,
  object: KubeObject,
  { status, ...presentation }: Presentation & { status: number },
): Answer {
  const { as, version = 'v1' } = presentation.form
  if (as === 'Table') {
    const table = tableOf(kind, [object], { ...presentation, version, withColumns: true })
    table.metadata = { resourceVersion: object.metadata?.resourceVersion }
    return textAnswer(table, presentation, status)
  }
  if (as) return partialAnswer(partialOf(object, version), { ...presentation, status })
  const shown = shownBy(kind, object)
  if (presentation.form.encoding === 'protobuf')
    return { status, contentType: protobufType, body: protobufOf(kind, shown) }
  return { status, ...inEncoding(jsonOf(shown), presentation) }
}

/** A list, in the form that the client asked for. */
export function listAnswer(kind: Kind, listed: Listed, presentation: Presentation): Answer {
  const { as, version = 'v1' } = presentation.form
  const metadata = {
    resourceVersion: String(listed.revision),
    ...(listed.continue ? { continue: listed.continue } : {}),
    ...(listed.remaining ? { remainingItemCount: listed.remaining } : {}),
  }
  if (as === 'Table') {
    const table = tableOf(kind, listed.items, { ...presentation, version, withColumns: true })
    table.metadata = metadata
    return textAnswer(table, presentation)
  }
  if (as) {
    const items = listed.items.map((object) => partialOf(object, version))
    const list = { kind: 'PartialObjectMetadataList', apiVersion: `meta.k8s.io/${version}`, metadata, items }
    if (presentation.form.encoding === 'protobuf') return binaryAnswer(encodePartialList(list))
    return textAnswer(list, presentation)
  }
  const type = { kind: `${kind.kind}List`, apiVersion: apiVersionOf(kind) }
  if (presentation.form.encoding === 'protobuf') {
    const items = listed.items.map((object) => messageOf(kind, shownBy(kind, object)))
    return { status: 200, contentType: protobufType, body: encodeList(kind.definition, { ...type, metadata }, items) }
  }
  const head = JSON.stringify({ ...type, metadata })
  const parts = [`${head.slice(0, -1)},"items":[`]
  for (const object of listed.items) {
    if (parts.length > 1) parts.push(',')
    parts.push(itemJsonOf(kind, shownBy(kind, object)))
  }
  parts.push(']}')
  const { form, pretty } = presentation
  if (pretty || form.encoding !== 'json') return { status: 200, ...inEncoding(parts.join(''), presentation) }
  return { status: 200, contentType: 'application/json', body: [...parts, '\n'] }
}
