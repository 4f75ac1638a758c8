import { describe, expect, it } from 'vitest'
import type { Pod } from '../api/types.ts'
import { SchedulingQueue } from './queue.ts'

const aPod = (name: string, priority = 0): Pod => ({
  metadata: { name, uid: name },
  spec: { priority, containers: [] },
})
const drained = (queue: SchedulingQueue, now = 0) => {
  const names: (string | undefined)[] = []
  for (let pod = queue.next(now); pod; pod = queue.next(now)) names.push(pod.metadata?.name)
  return names
}

describe('SchedulingQueue', () => {
  it('next: by priority, then in order of arrival', () => {
    const queue = new SchedulingQueue()
    for (const pod of [aPod('a'), aPod('b', 10), aPod('c'), aPod('d', 10)]) queue.add(pod)
    expect(drained(queue)).toEqual(['b', 'd', 'a', 'c'])
  })
  it('failed: waits for a change and for its backoff, which doubles', () => {
    const queue = new SchedulingQueue()
    queue.failed(aPod('a'), 0)
    expect(drained(queue, 5000)).toEqual([])
    queue.clusterChanged(5000)
    expect(drained(queue, 5000)).toEqual(['a'])
    queue.failed(aPod('a'), 5000)
    queue.clusterChanged(5001)
    expect(drained(queue, 6999)).toEqual([])
    expect(drained(queue, 7000)).toEqual(['a'])
  })
  it('failed: after five minutes it is tried without any change', () => {
    const queue = new SchedulingQueue()
    queue.failed(aPod('a'), 0)
    expect(queue.nextDue()).toBe(300_000)
    expect(drained(queue, 300_000)).toEqual(['a'])
  })
  it('remove: forgets the pod wherever it waits', () => {
    const queue = new SchedulingQueue()
    queue.add(aPod('a'))
    queue.failed(aPod('b'), 0)
    queue.remove('a')
    queue.remove('b')
    queue.clusterChanged(1)
    expect(drained(queue, 400_000)).toEqual([])
  })
})
