/** What all reviews have in common: a body is read, something is found out, and the body goes back with a status. */
import type { KubeObject } from '../../../api/types.ts'
import type { Answer } from '../../answer.ts'
import { objectAnswer } from '../../answer.ts'
import { decodeBody } from '../../body.ts'
import { typed } from '../../objects.ts'
import { bodyOf, decodeOptions } from '../../requests.ts'
import type { Serving } from '../../serving.ts'
import type { UnstoredHandler, UnstoredRequest } from '../unstored.ts'

/** A handler that answers a review with the status that `find` finds out. */
export function review<T extends KubeObject & { status?: unknown }>(
  find: (serving: Serving, asked: { review: T; request: UnstoredRequest }) => T['status'] | Promise<T['status']>,
): UnstoredHandler {
  return async (serving, request): Promise<Answer> => {
    const { kind, incoming, presentation } = request
    const asked = decodeBody<T>(kind, bodyOf(incoming, kind), decodeOptions(incoming))
    const { managedFields: _, ...metadata } = asked.metadata ?? {}
    const status = await find(serving, { review: asked, request })
    return objectAnswer(kind, typed(kind, { ...asked, metadata, status } as T), { ...presentation, status: 201 })
  }
}
