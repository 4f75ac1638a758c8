import { describe, expect, it } from 'vitest'
import type { Pod } from '../orchestrator/api/types.ts'
import type { Container } from './cri/types.ts'
import { PodMemory } from './pod-memory.ts'

const pod: Pod = {
  metadata: { uid: 'u', name: 'p', namespace: 'default' },
  spec: { containers: [{ name: 'web', image: 'none/such' }] },
}
const crash = (attempt: number, finishedAt: number, ranMs = 100): Container => ({
  id: `web-${attempt}`,
  sandboxId: 's',
  podUid: 'u',
  name: 'web',
  attempt,
  hash: '',
  image: '',
  imageId: '',
  state: 'exited',
  exitCode: 1,
  createdAt: 0,
  startedAt: finishedAt - ranMs,
  finishedAt,
  logPath: '',
})
const waits = (memory: PodMemory, now = 0) => memory.notBefore(pod, now).get('web')

describe('PodMemory', () => {
  it('crashes: the first restart is at once, then 10 s, doubled up to 5 minutes', () => {
    const memory = new PodMemory()
    const delays = [0, 1, 2, 3, 4, 5, 6, 7].map((attempt) => {
      const at = attempt * 1_000_000
      memory.noteExits({ sandboxes: [], containers: [crash(attempt, at)] }, at)
      return (waits(memory, at) ?? 0) - at
    })
    expect(delays).toEqual([0, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000])
  })
  it('crashes: ten good minutes are a new beginning', () => {
    const memory = new PodMemory()
    for (const attempt of [0, 1, 2]) memory.noteExits({ sandboxes: [], containers: [crash(attempt, attempt)] }, attempt)
    memory.noteExits({ sandboxes: [], containers: [crash(3, 5_000_000, 700_000)] }, 5_000_000)
    expect(waits(memory, 5_000_000)).toBe(5_000_000)
  })
  it('crashes: an exit is counted once, however often it is seen', () => {
    const memory = new PodMemory()
    const observed = { sandboxes: [], containers: [crash(0, 0)] }
    for (let round = 0; round < 3; round++) memory.noteExits(observed, 0)
    expect(waits(memory)).toBe(0)
  })
  it('noteImages: another image starts afresh', () => {
    const memory = new PodMemory()
    memory.noteImages(pod)
    memory.noteExits({ sandboxes: [], containers: [crash(0, 0)] }, 0)
    memory.noteExits({ sandboxes: [], containers: [crash(1, 0)] }, 0)
    expect(waits(memory)).toBe(10_000)
    memory.noteImages({ ...pod, spec: { containers: [{ name: 'web', image: 'another' }] } })
    expect(waits(memory)).toBe(0)
  })
  it('notBefore: a clock that was set back makes nobody wait for it', () => {
    const memory = new PodMemory()
    memory.noteExits({ sandboxes: [], containers: [crash(0, 7_200_000)] }, 7_200_000)
    memory.noteExits({ sandboxes: [], containers: [crash(1, 7_200_000)] }, 7_200_000)
    expect(waits(memory, 7_200_000)).toBe(7_210_000)
    expect(waits(memory, 3_600_000)).toBe(0)
  })
  it('waiting: CrashLoopBackOff in the words of the kubelet', () => {
    const memory = new PodMemory()
    memory.noteExits({ sandboxes: [], containers: [crash(0, 0)] }, 0)
    const observed = { sandboxes: [], containers: [crash(0, 0), crash(1, 500)] }
    memory.noteExits(observed, 500)
    expect(memory.waiting(pod, observed, 600).get('web')).toEqual({
      reason: 'CrashLoopBackOff',
      message: 'back-off 10s restarting failed container=web pod=p_default(u)',
    })
  })
  it('waiting: a failed pull first shows its error, then the backoff with the cause', () => {
    const memory = new PodMemory()
    const nothing = { sandboxes: [], containers: [] }
    memory.noteRound([{ container: 'web', reason: 'ErrImagePull', message: 'no such host' }], ['web'], 0)
    expect(memory.waiting(pod, nothing, 0).get('web')).toEqual({ reason: 'ErrImagePull', message: 'no such host' })
    expect(memory.turnsToBackOffAt(0)).toBe(2000)
    expect(memory.waiting(pod, nothing, 2000).get('web')).toEqual({
      reason: 'ImagePullBackOff',
      message: 'Back-off pulling image "none/such": ErrImagePull: no such host',
    })
    expect(waits(memory)).toBe(10_000)
  })
  it('noteRound: success forgets the failure', () => {
    const memory = new PodMemory()
    memory.noteRound([{ container: 'web', reason: 'CreateContainerError', message: 'x' }], ['web'], 0)
    memory.noteRound([], ['web'], 10_000)
    expect(memory.waiting(pod, { sandboxes: [], containers: [] }, 10_000).size).toBe(0)
    expect(waits(memory)).toBe(0)
  })
})
