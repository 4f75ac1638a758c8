import { describe, expect, it } from 'vitest'
import { SingleFlight } from './single-flight.ts'
import { Slots } from './slots.ts'

/** Work that ends when it is told to, or stopped. */
function aJob() {
  let starts = 0
  const end = Promise.withResolvers<string>()
  const start = (signal: AbortSignal) => {
    starts++
    signal.addEventListener('abort', () => end.reject(signal.reason))
    return end.promise
  }
  return { start, end, starts: () => starts }
}

describe('SingleFlight', () => {
  it('once for all who ask at the same time, again for who asks later', async () => {
    const flights = new SingleFlight<string>()
    const job = aJob()
    const both = [flights.run('k', undefined, job.start), flights.run('k', undefined, job.start)]
    job.end.resolve('done')
    expect(await Promise.all(both)).toEqual(['done', 'done'])
    expect(job.starts()).toBe(1)
    await flights.run('k', undefined, job.start)
    expect(job.starts()).toBe(2)
  })

  it('goes on while one is interested, ends with the last', async () => {
    const flights = new SingleFlight<string>()
    const job = aJob()
    const [one, two] = [new AbortController(), new AbortController()]
    const first = flights.run('k', one.signal, job.start)
    const second = flights.run('k', two.signal, job.start)
    one.abort(new Error('first has left'))
    await expect(first).rejects.toThrow('first has left')
    two.abort(new Error('second has left'))
    await expect(second).rejects.toThrow('second has left')
    await expect(job.end.promise).rejects.toThrow('second has left')
  })

  it('a failure is told to all, and is not kept', async () => {
    const flights = new SingleFlight<string>()
    const fail = () => Promise.reject(new Error('no'))
    await expect(Promise.all([flights.run('k', undefined, fail), flights.run('k', undefined, fail)])).rejects.toThrow(
      'no',
    )
    expect(await flights.run('k', undefined, async () => 'yes')).toBe('yes')
  })
})

describe('Slots', () => {
  it('at most so many at once, failures free their place', async () => {
    const slots = new Slots(2)
    let now = 0
    let most = 0
    const work = (at: number) =>
      slots.run(async () => {
        most = Math.max(most, ++now)
        await new Promise(setImmediate)
        now--
        if (at % 3 === 0) throw new Error('no')
      })
    await Promise.allSettled(Array.from({ length: 20 }, (_, at) => work(at)))
    expect([now, most]).toEqual([0, 2])
  })
})
