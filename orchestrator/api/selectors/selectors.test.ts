import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matchesFields, parseFieldSelector, requiredValue } from './field.ts'
import { fromSelectorFields, matchesLabels, parseLabelSelector } from './label.ts'

const labels = { app: 'web', tier: 'front', size: '5', empty: '' }
const matches = (text: string) => matchesLabels(parseLabelSelector(text), labels)

describe('label selectors', () => {
  it.each([
    ['', true],
    ['app=web', true],
    ['app==web', true],
    ['app!=web', false],
    ['app=web,tier=back', false],
    ['tier in (front, back)', true],
    ['tier notin (front,back)', false],
    ['none notin (a)', true],
    ['none!=a', true],
    ['app', true],
    ['!app', false],
    ['!none', true],
    ['size>4', true],
    ['size<5', false],
    ['empty=', true],
    ['app in (,web)', true],
    ['example.com/x=1', false],
  ])('%s: %s', (text, expected) => expect(matches(text)).toBe(expected))

  it.each(['a=b,', 'a in b', 'a in (b', '=b', 'a b', 'a=b=c', 'a>x', '-a=b', 'a=b!', 'a/b/c=d', 'a=-'])(
    'refuses %j',
    (text) => {
      expect(() => parseLabelSelector(text)).toThrow(expect.objectContaining({ code: 'BAD_SELECTOR' }))
    },
  )

  it('exactly one of a requirement and its negation holds', () => {
    const name = fc.constantFrom('app', 'tier', 'none')
    const value = fc.constantFrom('web', 'front', 'x')
    fc.assert(
      fc.property(name, value, (key, wanted) => {
        expect(matches(`${key}=${wanted}`)).toBe(!matches(`${key}!=${wanted}`))
        expect(matches(`${key} in (${wanted})`)).toBe(!matches(`${key} notin (${wanted})`))
        expect(matches(key)).toBe(!matches(`!${key}`))
      }),
    )
  })

  it('fields of a spec mean the same as the text', () => {
    const selector = fromSelectorFields({
      matchLabels: { app: 'web' },
      matchExpressions: [
        { key: 'tier', operator: 'In', values: ['front'] },
        { key: 'none', operator: 'DoesNotExist' },
      ],
    })
    expect(matchesLabels(selector, labels)).toBe(true)
    expect(matchesLabels(selector, { ...labels, none: 'x' })).toBe(false)
  })
})

describe('field selectors', () => {
  const values: Record<string, string> = { 'spec.nodeName': 'n1', 'status.phase': 'Running', odd: 'a,b=c' }
  const read = (field: string) => values[field] ?? ''

  it.each([
    ['', true],
    ['spec.nodeName=n1', true],
    ['spec.nodeName==n1,status.phase!=Failed', true],
    ['status.phase!=Running', false],
    ['unset=', true],
    ['odd=a\\,b\\=c', true],
  ])('%s: %s', (text, expected) => expect(matchesFields(parseFieldSelector(text), read)).toBe(expected))

  it.each(['nonsense', 'a=b=c', 'a=\\x'])('refuses %j', (text) => {
    expect(() => parseFieldSelector(text)).toThrow(expect.objectContaining({ code: 'BAD_SELECTOR' }))
  })

  it('requiredValue: is the value that must be there', () => {
    expect(requiredValue(parseFieldSelector('metadata.name=x,a!=b'), 'metadata.name')).toBe('x')
    expect(requiredValue(parseFieldSelector('metadata.name!=x'), 'metadata.name')).toBeUndefined()
  })
})
