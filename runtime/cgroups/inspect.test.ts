import { describe, expect, it } from 'vitest'
import { pressureOf, sumOf } from './inspect.ts'

describe('pressureOf', () => {
  it('the last ten seconds of some and full', () => {
    const text = 'some avg10=12.50 avg60=3.00 avg300=1.00 total=1\nfull avg10=0.75 avg60=0.00 avg300=0.00 total=0'
    expect(pressureOf(text)).toEqual({ some: 12.5, full: 0.75 })
  })
  it('a kernel that has only some; and none', () => {
    expect(pressureOf('some avg10=1.00 avg60=0.00 avg300=0.00 total=0')).toEqual({ some: 1, full: 0 })
    expect(pressureOf(undefined)).toBeUndefined()
    expect(pressureOf('')).toBeUndefined()
  })
})

describe('sumOf', () => {
  it('v1 and v2: over all devices', () => {
    expect(sumOf('8:0 Read 10\n8:0 Write 5\n8:16 Read 7\nTotal 22', 'Read ')).toBe(17)
    expect(sumOf('8:0 rbytes=10 wbytes=5 rios=1\n8:16 rbytes=7 wbytes=0', 'rbytes=')).toBe(17)
    expect(sumOf('', 'rbytes=')).toBe(0)
  })
})
