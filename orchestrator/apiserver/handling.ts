import type { Kind } from '../api/kinds/kind.ts'
import type { Answer, Presentation, StreamedAnswer } from './answer.ts'
import type { Incoming } from './incoming.ts'
import type { ObjectPlace } from './objects.ts'
import type { Registry } from './registry.ts'
import type { ResourceRequest } from './request-info.ts'
import type { Collection } from './verbs/create.ts'

/** One request with all that was found out about it. */
export interface Handling {
  readonly incoming: Incoming
  readonly info: ResourceRequest
  /** As the client speaks; objects are stored as `place.kind`. */
  readonly kind: Kind
  readonly collection: Collection
  readonly place: ObjectPlace
  readonly presentation: Presentation
}

export type Handler = (registry: Registry, handling: Handling) => Promise<Answer | StreamedAnswer>
