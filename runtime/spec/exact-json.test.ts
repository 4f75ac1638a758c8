import { expect, it } from 'vitest'
import { parseSpec, specText } from './exact-json.ts'

const text = (value: string) =>
  `{"linux":{"seccomp":{"syscalls":[{"args":[{"index":0,"value":${value},"valueTwo":1}]}]}},"process":{"rlimits":[{"hard":18446744073709551615}]}}`
const argument = (value: string) => parseSpec(text(value)).linux?.seccomp?.syscalls?.[0]?.args?.[0]

it('parseSpec: keeps all 64 bits of seccomp’s values, and numbers what fits in one', () => {
  expect(argument('18446744073709551615')).toEqual({ index: 0, value: 0xffffffffffffffffn, valueTwo: 1 })
  expect(argument('9007199254740993')?.value).toBe(9007199254740993n)
  expect(argument('9007199254740991')?.value).toBe(9007199254740991)
  expect(argument('1e30')?.value).toBe(1e30)
  expect(parseSpec(text('1')).process?.rlimits?.[0]?.hard).toBe(2 ** 64)
})

it('specText: gives back what parseSpec has read', () => {
  expect(specText(parseSpec(text('9007199254740993')))).toContain('"value":9007199254740993,')
  expect(specText({ a: 1 })).toBe('{"a":1}')
})
