import type { Kind } from '../../api/kinds/kind.ts'
import type { Answer, Presentation } from '../answer.ts'
import type { Incoming } from '../incoming.ts'
import type { ResourceRequest } from '../request-info.ts'
import type { Serving } from '../serving.ts'

export interface UnstoredRequest {
  readonly incoming: Incoming
  readonly info: ResourceRequest
  readonly kind: Kind
  readonly presentation: Presentation
}

export type UnstoredHandler = (serving: Serving, request: UnstoredRequest) => Promise<Answer>
