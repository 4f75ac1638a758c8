/** Source: `printEvent` in k8s.io/kubernetes/pkg/printers/internalversion/printers.go. */
import type { Cell, Printer } from '../kinds/kind.ts'
import type { Event } from '../types.ts'
import { column, humanDuration, nameColumn, since } from './cells.ts'

export const eventPrinter: Printer<Event> = {
  columns: [
    column('Last Seen', 'The time at which the most recent occurrence of this event was recorded.'),
    column('Type', 'Type of this event (Normal, Warning), new types could be added in the future'),
    column(
      'Reason',
      "This should be a short, machine understandable string that gives the reason for the transition into the object's current status.",
    ),
    column('Object', 'The object that this event is about.'),
    column('Subobject', 'The part of the object that this event is about.', 'wide'),
    column('Source', 'The component reporting this event.', 'wide'),
    column('Message', 'A human-readable description of the status of this operation.'),
    column('First Seen', 'The time at which the event was first recorded.', 'wide'),
    column('Count', 'The number of times this event has occurred.', 'wide'),
    { ...nameColumn, priority: 1 },
  ],
  cells: eventCells,
}

function eventCells(event: Event, now: number): Cell[] {
  const first = event.firstTimestamp || event.eventTime
  const last = event.series?.lastObservedTime || event.lastTimestamp || first
  const count = event.series?.count || event.count || 1
  const { kind, name } = event.involvedObject
  return [
    eventAge(last, now),
    event.type ?? '',
    event.reason ?? '',
    name ? `${(kind ?? '').toLowerCase()}/${name}` : (kind ?? '').toLowerCase(),
    event.involvedObject.fieldPath ?? '',
    sourceOf(event),
    (event.message ?? '').trim(),
    eventAge(first, now),
    String(count),
    event.metadata.name ?? '',
  ]
}

function eventAge(time: string | undefined, now: number): string {
  return time ? humanDuration(now - Date.parse(time)) : since(undefined, now)
}

function sourceOf({ source, reportingComponent }: Event): string {
  const component = source?.component || reportingComponent || ''
  return source?.host ? `${component}, ${source.host}` : component
}
