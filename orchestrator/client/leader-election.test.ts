import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../runtime/base/clock.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { anApi } from '../../test/fixtures/api.ts'
import { resources } from '../api/resources.ts'
import type { ApiClient } from './api-client.ts'
import { type Election, startElection } from './leader-election.ts'

const times = { leaseSeconds: 1, renewSeconds: 0.6, retrySeconds: 0.05 }

describe('leader election', () => {
  let api: Awaited<ReturnType<typeof anApi>>
  beforeAll(async () => {
    api = await anApi()
  })
  afterAll(() => api.close())

  /** Who leads at the moment, and how many have ever led at the same time. */
  class Throne {
    readonly leaders = new Set<string>()
    most = 0

    join(name: string, identity: string, client: ApiClient = api.client): Election {
      const lead = async (signal: AbortSignal) => {
        this.leaders.add(identity)
        this.most = Math.max(this.most, this.leaders.size)
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        this.leaders.delete(identity)
      }
      return startElection({ client, clock: systemClock, log: silentLog, name, identity, times, lead })
    }
  }

  const leaseOf = async (name: string) =>
    (await api.client.get(resources.leases, { namespace: 'kube-system', name })).spec

  it('of three one leads; when it leaves, another one does at once', async () => {
    const throne = new Throne()
    const all = ['a', 'b', 'c'].map((identity) => throne.join('leaves', identity))
    await expect.poll(() => throne.leaders.size).toBe(1)
    const [first] = throne.leaders
    await all[['a', 'b', 'c'].indexOf(first ?? '')]?.close()
    await expect.poll(() => throne.leaders.size).toBe(1)
    expect(throne.leaders.has(first ?? '')).toBe(false)
    for (const each of all) await each.close()
    expect(throne.most).toBe(1)
    expect(await leaseOf('leaves')).toMatchObject({ holderIdentity: '' })
  })

  it('a leader that cannot renew stops before the next one begins', async () => {
    const throne = new Throne()
    let isCut = false
    const cut: ApiClient = {
      ...api.client,
      update: (...request: Parameters<ApiClient['update']>) =>
        isCut ? Promise.reject(new Error('no connection')) : api.client.update(...request),
    } as ApiClient
    const lost = throne.join('cut', 'lost', cut)
    await expect.poll(() => [...throne.leaders]).toEqual(['lost'])
    const next = throne.join('cut', 'next')
    isCut = true
    await expect.poll(() => [...throne.leaders], { timeout: 5000 }).toEqual(['next'])
    expect(throne.most).toBe(1)
    expect((await leaseOf('cut'))?.leaseTransitions).toBe(1)
    await next.close()
    await lost.close()
  })
})
