/**
 * Further versions of kinds, served by conversion from the one that is stored: those that Kubernetes 1.36 serves beside
 * it (autoscaling/v1, events.k8s.io/v1), and those that it has removed and that kubectl 1.20 still asks for.
 */
import { hpaV1FromV2, hpaV1ToV2, hpaV2beta2FromV2, hpaV2beta2ToV2 } from '../conversion/autoscaling.ts'
import { sliceFromV1, sliceToV1 } from '../conversion/endpoint-slice.ts'
import { eventFromCore, eventToCore } from '../conversion/event.ts'
import { ingressFromV1, ingressToV1 } from '../conversion/ingress.ts'
import { budgetFromV1, budgetToV1 } from '../conversion/pod-disruption-budget.ts'
import type { KubeObject } from '../types.ts'
import { horizontalPodAutoscalerKind } from './autoscaling.ts'
import { cronJobKind } from './batch.ts'
import { eventKind } from './event.ts'
import type { Conversion, Kind } from './kind.ts'
import { ingressClassKind, ingressKind } from './networking.ts'
import { podDisruptionBudgetKind } from './policy.ts'
import { endpointSliceKind } from './service.ts'

type Functions = Pick<Conversion, 'fromStored' | 'toStored'>

/** A row of another version: `place` is what differs, `functions` convert. */
function version<T extends KubeObject>(
  kind: Kind<T>,
  place: Pick<Kind, 'version'> & Partial<Pick<Kind, 'group'>> & { definitions: string },
  functions: Functions,
): Kind {
  const stored = kind as unknown as Kind
  const { definitions, ...rest } = place
  return { ...stored, ...rest, definition: definitions + kind.kind, conversion: { stored, ...functions } }
}

const same: Functions = { fromStored: (object) => object, toStored: (object) => object }

const networkingV1beta1 = { version: 'v1beta1', definitions: 'io.k8s.api.networking.v1beta1.' }

const eventsKind: Kind = {
  ...version(
    eventKind,
    { group: 'events.k8s.io', version: 'v1', definitions: 'io.k8s.api.events.v1.' },
    { fromStored: eventFromCore, toStored: eventToCore },
  ),
  strategy: {
    ...(eventKind.strategy as unknown as Kind['strategy']),
    fields: Object.fromEntries(
      Object.entries(eventKind.strategy.fields ?? {}).map(([name, read]) => [
        eventFieldName(name),
        read as (object: KubeObject) => string,
      ]),
    ),
  },
}

/** Selectable fields of events.k8s.io/v1, by their names in core/v1. */
function eventFieldName(name: string): string {
  if (name === 'reportingComponent') return 'reportingController'
  return name.replace(/^involvedObject\./, 'regarding.')
}

export const otherVersions: readonly Kind[] = [
  version(
    horizontalPodAutoscalerKind,
    { version: 'v1', definitions: 'io.k8s.api.autoscaling.v1.' },
    { fromStored: hpaV1FromV2, toStored: hpaV1ToV2 },
  ),
  version(
    horizontalPodAutoscalerKind,
    { version: 'v2beta2', definitions: 'io.k8s.api.autoscaling.v2beta2.' },
    { fromStored: hpaV2beta2FromV2, toStored: hpaV2beta2ToV2 },
  ),
  version(cronJobKind, { version: 'v1beta1', definitions: 'io.k8s.api.batch.v1beta1.' }, same),
  version(
    endpointSliceKind,
    { version: 'v1beta1', definitions: 'io.k8s.api.discovery.v1beta1.' },
    { fromStored: sliceFromV1, toStored: sliceToV1 },
  ),
  eventsKind,
  version(ingressKind, networkingV1beta1, { fromStored: ingressFromV1, toStored: ingressToV1 }),
  version(ingressClassKind, networkingV1beta1, same),
  version(
    podDisruptionBudgetKind,
    { version: 'v1beta1', definitions: 'io.k8s.api.policy.v1beta1.' },
    { fromStored: budgetFromV1, toStored: budgetToV1 },
  ),
]
