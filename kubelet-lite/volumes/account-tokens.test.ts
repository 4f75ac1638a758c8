import { expect, it } from 'vitest'
import type { TokenRequest } from '../../orchestrator/api/types.ts'
import type { ApiClient } from '../../orchestrator/client/api-client.ts'
import { systemClock } from '../../runtime/base/clock.ts'
import { accountTokens } from './account-tokens.ts'

const pod = { metadata: { name: 'p', namespace: 'n', uid: 'u' }, spec: { containers: [], serviceAccountName: 'a' } }

/** An API that numbers its tokens. */
function aServer() {
  let nowMs = Date.parse('2026-01-01T00:00:00Z')
  const asked: unknown[] = []
  const server = { fails: false }
  const clock = { ...systemClock, now: () => nowMs }
  const client = {
    async createSubresource(_resource: unknown, key: unknown, subresource: string, body: TokenRequest) {
      if (server.fails) throw new Error('not now')
      asked.push({ key, subresource, spec: body.spec })
      const expirationTimestamp = new Date(nowMs + (body.spec?.expirationSeconds ?? 0) * 1000).toISOString()
      return { ...body, status: { token: `token-${asked.length}`, expirationTimestamp } }
    },
  } as unknown as ApiClient
  const tokens = accountTokens(client, clock)
  const wait = (seconds: number) => {
    nowMs += seconds * 1000
  }
  return { tokens, asked, wait, server }
}

it('accountTokens: asks for a token that is bound to the pod', async () => {
  const { tokens, asked } = aServer()
  expect(await tokens(pod, { audience: 'vault', expirationSeconds: 600 })).toBe('token-1')
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'u' }
  expect(asked).toEqual([
    {
      key: { namespace: 'n', name: 'a' },
      subresource: 'token',
      spec: { audiences: ['vault'], expirationSeconds: 600, boundObjectRef },
    },
  ])
})

it('accountTokens: renews after four fifths of its life, or a day', async () => {
  const { tokens, wait } = aServer()
  const short = () => tokens(pod, { expirationSeconds: 1000 })
  expect(await short()).toBe('token-1')
  wait(799)
  expect(await short()).toBe('token-1')
  wait(1)
  expect(await short()).toBe('token-2')
  const long = () => tokens(pod, { expirationSeconds: 1_000_000 })
  expect(await long()).toBe('token-3')
  wait(24 * 3600)
  expect(await long()).toBe('token-4')
})

it('accountTokens: keeps the old one while there is no new one, until it has expired', async () => {
  const { tokens, wait, server } = aServer()
  const get = () => tokens(pod, { expirationSeconds: 1000 })
  await get()
  server.fails = true
  wait(900)
  expect(await get()).toBe('token-1')
  wait(100)
  await expect(get()).rejects.toThrow('not now')
})
