/**
 * The tokens of pods' service accounts. Source: k8s.io/kubernetes/pkg/kubelet/token/token_manager.go, KEP-1205.
 */
import { resources } from '../../orchestrator/api/resources.ts'
import type { Pod, TokenRequest } from '../../orchestrator/api/types.ts'
import type { ApiClient } from '../../orchestrator/client/api-client.ts'
import type { Clock } from '../../runtime/base/clock.ts'

export interface TokenProjection {
  readonly audience?: string
  readonly expirationSeconds?: number
}

/** A token that is good for a while still. Throws what the API says. */
export type AccountTokens = (pod: Pod, projection: TokenProjection) => Promise<string>

interface Issued {
  readonly token: string
  /** Milliseconds. */
  readonly renewAt: number
  readonly expiresAt: number
}

const defaultSeconds = 3600
const oldestMs = 24 * 3600 * 1000

/** Tokens bound to their pod, kept until a fifth of their life is left, at most for a day. */
export function accountTokens(client: ApiClient, clock: Clock): AccountTokens {
  const known = new Map<string, Issued>()
  return async (pod, { audience = '', expirationSeconds = defaultSeconds }) => {
    const now = clock.now()
    for (const [key, { expiresAt }] of known) if (expiresAt <= now) known.delete(key)
    const key = `${pod.metadata?.uid}/${expirationSeconds}/${audience}`
    const before = known.get(key)
    if (before && now < before.renewAt) return before.token
    try {
      const issued = await request(client, pod, { audience, expirationSeconds })
      const { token = '', expirationTimestamp = '' } = issued.status ?? {}
      const expiresAt = Date.parse(expirationTimestamp)
      known.set(key, { token, expiresAt, renewAt: now + Math.min((expiresAt - now) * 0.8, oldestMs) })
      return token
    } catch (error) {
      // The old one is good for some time yet: enough to ask again.
      if (before) return before.token
      throw error
    }
  }
}

function request(
  client: ApiClient,
  { metadata = {}, spec }: Pod,
  { audience, expirationSeconds }: Required<TokenProjection>,
): Promise<TokenRequest> {
  const { name = '', namespace = '', uid } = metadata
  const body: TokenRequest = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      audiences: audience === '' ? [] : [audience],
      expirationSeconds,
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, ...(uid ? { uid } : {}) },
    },
  }
  const account = { namespace, name: spec?.serviceAccountName ?? 'default' }
  return client.createSubresource<TokenRequest>(resources.serviceAccounts, account, 'token', body)
}
