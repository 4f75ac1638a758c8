/** What the client wants to read, from `Accept`; what it sent, from `Content-Type`. */
import { own } from '../api/own.ts'
import { notAcceptable } from '../api/status.ts'

export type Encoding = 'json' | 'yaml' | 'protobuf'

export interface OutputForm {
  readonly encoding: Encoding
  /** `Table`, `PartialObjectMetadata` or `PartialObjectMetadataList` instead of the object itself. */
  readonly as?: string
  readonly version?: string
}

export interface MediaRange {
  readonly type: string
  readonly parameters: Readonly<Record<string, string>>
}

export const protobufType = 'application/vnd.kubernetes.protobuf'

const accepted = ['application/json', 'application/yaml', protobufType]

const encodings: Readonly<Record<string, Encoding>> = {
  '*/*': 'json',
  'application/*': 'json',
  'application/json': 'json',
  'application/yaml': 'yaml',
  [protobufType]: 'protobuf',
}

/** The ranges of an `Accept` header, the most wanted first. */
export function mediaRangesOf(header: string | undefined): MediaRange[] {
  const ranges = (header ?? '').split(',').flatMap((text): MediaRange[] => {
    const [type = '', ...rest] = text.split(';').map((part) => part.trim())
    if (type === '') return []
    return [{ type: type.toLowerCase(), parameters: Object.fromEntries(rest.map((part) => splitAt(part, '='))) }]
  })
  const quality = ({ parameters }: MediaRange) => Number(parameters.q ?? 1)
  return ranges.sort((left, right) => quality(right) - quality(left))
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

/** Clients say the same in every request; who says something new each time fills no memory. */
const knownForms = new Map<string, OutputForm>()
const mostKnownForms = 100

/** As `outputFormOf`, for what cannot be shown as rows: nobody lists it. Throws NOT_ACCEPTABLE. */
export function formWithoutTables(header = ''): OutputForm {
  return readForm(header, (as) => as !== 'Table')
}

/** The first form of `header` that we have. Throws NOT_ACCEPTABLE. */
export function outputFormOf(header = ''): OutputForm {
  const known = knownForms.get(header)
  if (known) return known
  const form = readForm(header)
  if (knownForms.size < mostKnownForms) knownForms.set(header, form)
  return form
}

/** How a Status is written to whom `header` is from: as the first encoding that he takes objects in; JSON, whatever he says. */
export function statusEncodingOf(header: string | undefined): Encoding {
  const ranges = mediaRangesOf(header)
  const plain = ranges.find(({ type, parameters }) => !parameters.as && own(encodings, type))
  return (plain && own(encodings, plain.type)) ?? 'json'
}

function readForm(header: string, has: (as: string) => boolean = () => true): OutputForm {
  const ranges = mediaRangesOf(header)
  if (ranges.length === 0) return { encoding: 'json' }
  for (const { type, parameters } of ranges) {
    const encoding = own(encodings, type)
    if (!encoding) continue
    const { as, v: version, g: group } = parameters
    if (!as) return { encoding }
    const isMeta = group === 'meta.k8s.io' && (version === 'v1' || version === 'v1beta1')
    const isPartial = as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList'
    // Tables have no protobuf; whoever asks for one names JSON next.
    if (isMeta && has(as) && (isPartial || (as === 'Table' && encoding !== 'protobuf')))
      return { encoding, as, version }
  }
  throw notAcceptable(accepted)
}
