import { describe, expect, it } from 'vitest'
import { cloneFlags, flagNames, signalName, signalNumber } from './constants.ts'

describe('signalNumber', () => {
  it.each<[string | number, number | undefined]>([
    [9, 9],
    ['9', 9],
    ['KILL', 9],
    ['sigterm', 15],
    ['SIGRTMIN+3', 37],
    ['RTMAX-1', 63],
    ['SIGRTMAX+1', undefined],
    ['NOPE', undefined],
    [65, undefined],
    ['-1', undefined],
  ])('%s → %s', (signal, number) => expect(signalNumber(signal)).toBe(number))
  it('signalName goes back', () => expect([9, 31, 37].map(signalName)).toEqual(['SIGKILL', 'SIGSYS', 'SIGRTMIN+3']))
})

describe('flagNames', () => {
  it('names what it knows and shows the rest', () => {
    expect(flagNames(0x20020001, cloneFlags)).toBe('CLONE_NEWNS|CLONE_NEWPID|0x1')
    expect(flagNames(0, cloneFlags)).toBe('0')
  })
})
