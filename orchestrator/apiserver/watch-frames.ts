/** How the events of a watch are written. */
import type { Clock } from '../../runtime/base/clock.ts'
import type { Kind } from '../api/kinds/kind.ts'
import { apiVersionOf } from '../api/kinds/table.ts'
import { encodeProtobuf, encodeWatchEvent } from '../api/protobuf/encode.ts'
import { encodePartial } from '../api/protobuf/partial.ts'
import type { KubeObject, Status } from '../api/types.ts'
import { type Presentation, statusDefinition } from './answer.ts'
import { protobufType } from './negotiate.ts'
import { jsonOf, protobufOf } from './objects.ts'
import { shownBy } from './shown.ts'
import { partialOf, tableOf } from './table.ts'
import type { WatchedEvent } from './verbs/watch.ts'

/** Events in the form that one client asked for, and how that form is called. */
export interface Framing {
  readonly contentType: string
  frame(event: WatchedEvent): string | Uint8Array
  /** The last event: why there will be no more. */
  failure(status: Status): string | Uint8Array
}

/** The framing for a watch of `kind`: JSON lines, or protobuf messages with their length before them. */
export function framingOf(kind: Kind, presentation: Presentation, clock: Clock): Framing {
  return presentation.form.encoding === 'protobuf'
    ? protobufFraming(kind, presentation)
    : jsonFraming(kind, presentation, clock)
}

function protobufFraming(kind: Kind, { form: { as, version = 'v1' } }: Presentation): Framing {
  return {
    contentType: `${protobufType};stream=watch`,
    frame(event) {
      if (event.type !== 'BOOKMARK') {
        const { type, object } = event
        if (as) return message(type, encodePartial(partialOf(object, version)))
        return wholeMessage(type, kind, shownBy(kind, object))
      }
      const { creationTimestamp: _, ...metadata } = bookmarkMetadata(event)
      return message('BOOKMARK', as ? encodePartial(partialOf({ metadata }, version)) : protobufOf(kind, { metadata }))
    },
    failure: (status) => message('ERROR', encodeProtobuf(statusDefinition, status)),
  }
}

const message = (type: string, object: Uint8Array) => lengthBefore(encodeWatchEvent(type, object))

function lengthBefore(message: Uint8Array): Uint8Array {
  const framed = Buffer.allocUnsafe(message.length + 4)
  framed.writeUInt32BE(message.length)
  framed.set(message, 4)
  return framed
}

function jsonFraming(kind: Kind, { form, includeObject }: Presentation, clock: Clock): Framing {
  const { as, version = 'v1' } = form
  let withColumns = true
  const rowOf = (objects: readonly KubeObject[], resourceVersion: string | undefined) => {
    const table = tableOf(kind, objects, { version, includeObject, withColumns, now: clock.now() })
    withColumns = false
    return { ...table, metadata: { resourceVersion } }
  }
  return {
    contentType: 'application/json',
    frame(event) {
      if (event.type === 'BOOKMARK') return bookmarkFrame(kind, event, form.as ? { as, version } : {})
      const { object, type } = event
      if (as === 'Table') return line(type, JSON.stringify(rowOf([object], object.metadata?.resourceVersion)))
      if (as) return line(type, JSON.stringify(partialOf(object, version)))
      return wholeLine(type, kind, shownBy(kind, object))
    },
    failure: (status) => line('ERROR', JSON.stringify(status)),
  }
}

type MakeFrame = (type: string, kind: Kind, object: KubeObject) => Uint8Array

/** An event goes to all its watchers, one after the other, before the next one: it becomes bytes once. */
function onceForAll(make: MakeFrame): MakeFrame {
  let last: { type: string; object: KubeObject; frame: Uint8Array } | undefined
  return (type, kind, object) => {
    if (last?.object !== object || last.type !== type) last = { type, object, frame: make(type, kind, object) }
    return last.frame
  }
}

const wholeLine = onceForAll((type, _, object) => Buffer.from(line(type, jsonOf(object))))
const wholeMessage = onceForAll((type, kind, object) => message(type, protobufOf(kind, object)))

const line = (type: string, json: string) => `{"type":"${type}","object":${json}}\n`

type Bookmark = WatchedEvent & { type: 'BOOKMARK' }

function bookmarkMetadata({ revision, initialEventsEnd }: Bookmark) {
  return {
    resourceVersion: String(revision),
    creationTimestamp: null,
    ...(initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
  }
}

function bookmarkFrame(
  kind: Kind,
  event: Bookmark,
  { as, version = 'v1' }: { as?: string | undefined; version?: string },
): string {
  const metadata = bookmarkMetadata(event)
  if (as === 'Table') {
    const row = { cells: [], object: { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}`, metadata } }
    return line(
      'BOOKMARK',
      JSON.stringify({
        kind: 'Table',
        apiVersion: `meta.k8s.io/${version}`,
        metadata: { resourceVersion: metadata.resourceVersion },
        columnDefinitions: [],
        rows: [row],
      }),
    )
  }
  const type = as
    ? { kind: 'PartialObjectMetadata', apiVersion: `meta.k8s.io/${version}` }
    : { kind: kind.kind, apiVersion: apiVersionOf(kind) }
  return line('BOOKMARK', JSON.stringify({ ...type, metadata }))
}
