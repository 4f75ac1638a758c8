import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  addQuantities,
  compareQuantities,
  formatQuantity,
  milliUnits,
  parseQuantity,
  subtractQuantities,
  wholeUnits,
} from './quantity.ts'

const canonical = (text: string) => formatQuantity(parseQuantity(text))

/** Texts that Kubernetes accepts. */
const quantityText = fc
  .tuple(
    fc.constantFrom('', '-', '+'),
    fc.integer({ min: 0, max: 999_999 }),
    fc.option(fc.integer({ min: 0, max: 999 }), { nil: undefined }),
    fc.constantFrom('', 'n', 'u', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'Ti', 'e3', 'E-3', 'e0'),
  )
  .map(([sign, whole, fraction, suffix]) => `${sign}${whole}${fraction === undefined ? '' : `.${fraction}`}${suffix}`)

describe('quantity', () => {
  it.each([
    ['0.5', '500m'],
    ['1000m', '1'],
    ['1.5Gi', '1536Mi'],
    ['1024Ki', '1Mi'],
    ['0.5Ki', '512'],
    ['1000k', '1M'],
    ['.5', '500m'],
    ['5.', '5'],
    ['0Gi', '0'],
    ['-1500m', '-1500m'],
    ['1e3', '1e3'],
    ['12e-1', '1200e-3'],
    ['1E', '1E'],
    ['0.1n', '1n'],
    ['9223372036854775807', '9223372036854775807'],
    ['1e99', '9223372036854775807'],
  ])('format: %s is %s', (given, expected) => expect(canonical(given)).toBe(expected))

  it.each([
    ['', 'quantities must match'],
    ['abc', 'quantities must match'],
    ['1Zi', 'quantities must match'],
    ['1.2.3', 'quantities must match'],
    ['.', 'quantities must match'],
    ['1 ', 'quantities must match'],
    ['1ki', "unable to parse quantity's suffix"],
    ['1m1', "unable to parse quantity's suffix"],
  ])('parse: refuses %j', (given, message) => {
    expect(() => parseQuantity(given)).toThrow(message)
  })

  it('format: is a fixed point that means the same', () => {
    fc.assert(
      fc.property(quantityText, (text) => {
        const once = canonical(text)
        expect(canonical(once)).toBe(once)
        expect(parseQuantity(once).nano).toBe(parseQuantity(text).nano)
      }),
    )
  })

  it('add, subtract, compare: agree with each other', () => {
    fc.assert(
      fc.property(quantityText, quantityText, (left, right) => {
        const [a, b] = [parseQuantity(left), parseQuantity(right)]
        expect(subtractQuantities(addQuantities(a, b), b).nano).toBe(a.nano)
        expect(Math.sign(compareQuantities(a, b))).toBe(-Math.sign(compareQuantities(b, a)) || 0)
      }),
    )
  })

  it('units: are rounded up', () => {
    expect(milliUnits(parseQuantity('0.0001'))).toBe(1)
    expect(milliUnits(parseQuantity('1.5'))).toBe(1500)
    expect(wholeUnits(parseQuantity('64Mi'))).toBe(67_108_864)
    expect(wholeUnits(parseQuantity('100m'))).toBe(1)
  })
})
