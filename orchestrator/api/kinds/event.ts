import { checkDnsSubdomain } from '../names.ts'
import { eventPrinter } from '../print/event.ts'
import type { Event } from '../types.ts'
import { validateEvent } from '../validate/cluster.ts'
import { allVerbs, type Kind } from './kind.ts'

export const eventKind: Kind<Event> = {
  group: '',
  version: 'v1',
  kind: 'Event',
  resource: 'events',
  singular: 'event',
  shortNames: ['ev'],
  namespaced: true,
  definition: 'io.k8s.api.core.v1.Event',
  storedAt: '/registry/events/',
  verbs: allVerbs,
  subresources: [],
  strategy: {
    checkName: checkDnsSubdomain,
    validate: validateEvent,
    createOnUpdate: true,
    fields: {
      'involvedObject.kind': ({ involvedObject }) => involvedObject.kind ?? '',
      'involvedObject.namespace': ({ involvedObject }) => involvedObject.namespace ?? '',
      'involvedObject.name': ({ involvedObject }) => involvedObject.name ?? '',
      'involvedObject.uid': ({ involvedObject }) => involvedObject.uid ?? '',
      'involvedObject.apiVersion': ({ involvedObject }) => involvedObject.apiVersion ?? '',
      'involvedObject.resourceVersion': ({ involvedObject }) => involvedObject.resourceVersion ?? '',
      'involvedObject.fieldPath': ({ involvedObject }) => involvedObject.fieldPath ?? '',
      reason: ({ reason }) => reason ?? '',
      reportingComponent: ({ reportingComponent }) => reportingComponent ?? '',
      source: ({ source, reportingComponent }) => source?.component || reportingComponent || '',
      type: ({ type }) => type ?? '',
    },
  },
  printer: eventPrinter,
}
