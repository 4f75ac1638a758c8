import { describe, expect, it } from 'vitest'
import { isAtLeast, kernelVersion } from '../linux/kernel-features.ts'
import { examineHost } from './doctor.ts'

describe('examineHost', () => {
  it('says what each lack costs, and nothing of what is fine', () => {
    const findings = examineHost()
    expect(findings.length).toBeGreaterThan(25)
    for (const { what, state, found, costs } of findings) {
      expect(found, what).not.toBe('')
      if (state === 'fine') expect(costs, what).toBeUndefined()
      else expect(costs, what).toMatch(/\w/)
    }
    expect(new Set(findings.map(({ what }) => what)).size).toBe(findings.length)
  })

  it('kernel versions are compared as numbers', () => {
    expect(kernelVersion('6.18.5-generic')).toEqual([6, 18])
    expect(isAtLeast(6, 5, [6, 18])).toBe(true)
    expect(isAtLeast(6, 18, [6, 5])).toBe(false)
    expect(isAtLeast(5, 15, [6, 1])).toBe(true)
  })
})
