/** Event: events.k8s.io/v1 and core/v1, which is stored. Source: k8s.io/kubernetes/pkg/apis/events/v1/conversion.go. */
import type { Event, EventsEvent, KubeObject } from '../types.ts'
import { renamed } from './rename.ts'

/** Names in events.k8s.io/v1, by those of core/v1. */
const names: Readonly<Record<string, string>> = {
  count: 'deprecatedCount',
  firstTimestamp: 'deprecatedFirstTimestamp',
  involvedObject: 'regarding',
  lastTimestamp: 'deprecatedLastTimestamp',
  message: 'note',
  reportingComponent: 'reportingController',
  source: 'deprecatedSource',
}

const coreNames = Object.fromEntries(Object.entries(names).map(([core, name]) => [name, core]))

/** As events.k8s.io/v1 shows it. */
export function eventFromCore(event: KubeObject): EventsEvent {
  return renamed(event, names) as EventsEvent
}

/** As it is stored. Fields that core/v1 requires are there, if only empty. */
export function eventToCore(event: KubeObject): Event {
  const core = renamed(event, coreNames) as Event
  core.involvedObject ??= {}
  return core
}
