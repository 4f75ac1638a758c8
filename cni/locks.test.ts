import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { OperationLocks } from './locks.ts'

/** Runs operations and writes down when each begins and ends. */
function aJournal() {
  const lines: string[] = []
  const act = (name: string) => async () => {
    lines.push(`${name} begins`)
    await sleep(2)
    lines.push(`${name} ends`)
  }
  return { lines, act }
}

describe('OperationLocks', () => {
  it('run: one after the other for one container, side by side for two', async () => {
    const locks = new OperationLocks()
    const { lines, act } = aJournal()
    await Promise.all([locks.run('a', act('a1')), locks.run('a', act('a2')), locks.run('b', act('b1'))])
    expect(lines.indexOf('a1 ends')).toBeLessThan(lines.indexOf('a2 begins'))
    expect(lines.indexOf('b1 begins')).toBeLessThan(lines.indexOf('a1 ends'))
  })

  it('alone: after those before it, before those after it', async () => {
    const locks = new OperationLocks()
    const { lines, act } = aJournal()
    await Promise.all([
      locks.run('a', act('a')),
      locks.alone(act('gc')),
      locks.run('b', act('b')),
      locks.alone(act('gc2')),
    ])
    expect(lines.filter((line) => line.endsWith('begins'))).toEqual(['a begins', 'gc begins', 'b begins', 'gc2 begins'])
    expect(lines.indexOf('b begins')).toBeGreaterThan(lines.indexOf('gc ends'))
    expect(lines.indexOf('gc2 begins')).toBeGreaterThan(lines.indexOf('b ends'))
  })

  it('run: a failure does not stop the next', async () => {
    const locks = new OperationLocks()
    const failing = locks.run('a', () => Promise.reject(new Error('no')))
    const next = locks.run('a', async () => 'yes')
    await expect(failing).rejects.toThrow('no')
    await expect(next).resolves.toBe('yes')
  })
})
