import { describe, expect, it } from 'vitest'
import { Backoff, forgetAfterMs } from './backoff.ts'

describe('Backoff', () => {
  it('failed: ten seconds, doubled each time, five minutes at most; each key for itself', () => {
    const backoff = new Backoff({ firstIsFree: false })
    const delays = Array.from({ length: 7 }, () => {
      backoff.failed('image', 1000)
      return backoff.delayMs('image') / 1000
    })
    expect(delays).toEqual([10, 20, 40, 80, 160, 300, 300])
    expect(backoff.notBefore('image')).toBe(301_000)
    expect(backoff.failed('other', 0)).toBe(10_000)
  })

  it('forget, or ten good minutes: it begins anew', () => {
    const backoff = new Backoff({ firstIsFree: true })
    expect([backoff.failed('a', 0), backoff.failed('a', 0), backoff.failed('a', 0)]).toEqual([0, 10_000, 20_000])
    expect(backoff.failed('a', 0, forgetAfterMs)).toBe(0)
    backoff.failed('a', 0)
    backoff.forget('a')
    expect([backoff.notBefore('a'), backoff.failed('a', 5)]).toEqual([0, 5])
  })
})
