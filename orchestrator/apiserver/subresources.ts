/** Subresources that speak of something else than their object, or do something else than change it. */
import type { Kind, Verb } from '../api/kinds/kind.ts'
import { tokenRequestKind } from '../api/kinds/reviews.ts'
import { scaleKind } from '../api/kinds/scale.ts'
import type { Binding, Eviction, Namespace, Scale, Status, TokenRequest } from '../api/types.ts'
import { type Answer, objectAnswer, statusAnswer } from './answer.ts'
import { type BodyType, decodeBody } from './body.ts'
import type { Handler, Handling } from './handling.ts'
import type { Registry } from './registry.ts'
import { bodyOf, decodeOptions, patchOf, writeOptions } from './requests.ts'
import { bindPod } from './verbs/binding.ts'
import { evictPod } from './verbs/eviction.ts'
import { finalizeNamespace } from './verbs/finalize.ts'
import { getScale, patchScale, putScale } from './verbs/scale.ts'
import { createToken } from './verbs/token.ts'

const bindingType: BodyType = { group: '', version: 'v1', kind: 'Binding', definition: 'io.k8s.api.core.v1.Binding' }

async function handleBinding(registry: Registry, { place, incoming, presentation }: Handling): Promise<Answer> {
  const binding = decodeBody<Binding>(bindingType, bodyOf(incoming, bindingType), decodeOptions(incoming))
  await bindPod(registry, place, { ...writeOptions(incoming), binding })
  return statusAnswer(created, presentation)
}

async function handleFinalize(registry: Registry, { kind, place, incoming, presentation }: Handling): Promise<Answer> {
  const namespace = decodeBody<Namespace>(kind, bodyOf(incoming, kind), decodeOptions(incoming))
  const object = await finalizeNamespace(registry, place, { ...writeOptions(incoming), namespace })
  return objectAnswer(kind, object, { ...presentation, status: 200 })
}

const created: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', code: 201 }

const evictionDefinition = 'io.k8s.api.policy.v1.Eviction'

/** policy/v1 and v1beta1 say the same. */
async function handleEviction(registry: Registry, { place, incoming, presentation }: Handling): Promise<Answer> {
  const type = { group: 'policy', version: 'v1', kind: 'Eviction', definition: evictionDefinition }
  const body = bodyOf(incoming, type)
  const version = (body as Eviction | null)?.apiVersion === 'policy/v1beta1' ? 'v1beta1' : 'v1'
  const eviction = decodeBody<Eviction>({ ...type, version }, body, decodeOptions(incoming))
  await evictPod(registry, place, { ...writeOptions(incoming), eviction })
  return statusAnswer(created, presentation)
}

const asScale = scaleKind as unknown as Kind

const scaleHandlers: Partial<Record<Verb, Handler>> = {
  async get(registry, { place, presentation }) {
    return objectAnswer(asScale, getScale(registry, place), { ...presentation, status: 200 })
  },
  async update(registry, { place, incoming, presentation }) {
    const scale = decodeBody<Scale>(asScale, bodyOf(incoming, asScale), decodeOptions(incoming))
    const object = await putScale(registry, place, { ...writeOptions(incoming), scale })
    return objectAnswer(asScale, object, { ...presentation, status: 200 })
  },
  async patch(registry, { place, incoming, presentation }) {
    const options = { ...writeOptions(incoming), ...decodeOptions(incoming) }
    const object = await patchScale(registry, place, { ...options, ...patchOf(incoming) })
    return objectAnswer(asScale, object, { ...presentation, status: 200 })
  },
}

const asTokenRequest = tokenRequestKind as unknown as Kind

async function handleToken(registry: Registry, { place, incoming, presentation }: Handling): Promise<Answer> {
  const body = bodyOf(incoming, asTokenRequest)
  const tokenRequest = decodeBody<TokenRequest>(asTokenRequest, body, decodeOptions(incoming))
  const object = await createToken(registry, place, { ...writeOptions(incoming), tokenRequest })
  return objectAnswer(asTokenRequest, object, { ...presentation, status: 201 })
}

/** By name; what is not here is a part of its object, and the ordinary verbs serve it. */
export const subresourceHandlers: Readonly<Record<string, Partial<Record<Verb, Handler>>>> = {
  binding: { create: handleBinding },
  eviction: { create: handleEviction },
  finalize: { update: handleFinalize },
  scale: scaleHandlers,
  token: { create: handleToken },
}
