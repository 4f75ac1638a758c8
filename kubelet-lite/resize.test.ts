import { describe, expect, it } from 'vitest'
import type { Container as ContainerSpec, Node, Pod } from '../orchestrator/api/types.ts'
import type { Container, RuntimeService, Sandbox } from './cri/types.ts'
import { applyResources, asBefore, type Resize, resizeEvent, resizeOf } from './resize.ts'

type Resources = NonNullable<ContainerSpec['resources']>

const cpus = (requests: string, limits = requests): Resources => ({
  requests: { cpu: requests },
  limits: { cpu: limits },
})
const aPod = (wanted: Resources, had: Resources | undefined, policy: ContainerSpec['resizePolicy'] = []): Pod => ({
  metadata: { uid: 'u', name: 'p', namespace: 'default' },
  spec: { containers: [{ name: 'web', image: 'image', resources: wanted, resizePolicy: policy }] },
  status: {
    containerStatuses: had
      ? [{ name: 'web', image: '', imageID: '', ready: true, restartCount: 0, resources: had }]
      : [],
  },
})
const host = (cpu: string, others: Pod[] = []) => ({
  node: { status: { allocatable: { cpu, pods: '10', memory: '1Gi' } } } as Node,
  others,
})
const webOf = ({ spec }: Pod) => spec?.containers[0]?.resources

describe('resizeOf', () => {
  it('nothing has changed, or nothing runs yet: the node is not even looked at', () => {
    const never = () => {
      throw new Error('asked')
    }
    expect(resizeOf(aPod(cpus('1'), cpus('1')), never).restarts.size).toBe(0)
    expect(resizeOf(aPod(cpus('1'), undefined), never).pending).toBeUndefined()
  })
  it('with room: what is asked for', () => {
    const found = resizeOf(aPod(cpus('2'), cpus('1')), () => host('2'))
    expect([webOf(found.allocated), found.pending, found.restarts.size]).toEqual([cpus('2'), undefined, 0])
  })
  it('without: what was before, and why, by whether it could ever be', () => {
    const wanted = aPod(cpus('2'), cpus('1'))
    const infeasible = resizeOf(wanted, () => host('1'))
    expect(infeasible.pending).toEqual({
      reason: 'Infeasible',
      message: "Node didn't have enough resource: cpu, requested: 2000, used: 0, capacity: 1000",
    })
    expect(webOf(infeasible.allocated)).toEqual(cpus('1'))
    const deferred = resizeOf(wanted, () => host('2', [aPod(cpus('1'), cpus('1'))]))
    expect([deferred.pending?.reason, webOf(deferred.allocated)]).toEqual(['Deferred', cpus('1')])
  })
  it('restarts for a resource whose policy says so, and for no other', () => {
    const policy = [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }]
    const more = { ...cpus('1'), limits: { cpu: '1', memory: '64Mi' } }
    const less = { ...more, limits: { cpu: '1', memory: '32Mi' } }
    expect([...resizeOf(aPod(more, less, policy), () => host('2')).restarts]).toEqual(['web'])
    expect([...resizeOf(aPod(cpus('2'), cpus('1'), policy), () => host('2')).restarts]).toEqual([])
  })
})

describe('applyResources', () => {
  const sandbox = { id: 's', ready: true } as Sandbox
  const running = { id: 'web-0', name: 'web', attempt: 0, state: 'running' } as Container
  const observed = { sandboxes: [sandbox], containers: [running] }
  const calls: string[] = []
  const telling = (refuse?: string) => {
    calls.length = 0
    const tell = async (id: string, { cpuQuotaMicros }: { cpuQuotaMicros?: number }) => {
      if (id === refuse) throw new Error('EBUSY')
      calls.push(`${id} ${cpuQuotaMicros}`)
    }
    return { updateContainerResources: tell, updatePodSandboxResources: tell } as unknown as RuntimeService
  }
  const tools = (given: Map<string, string>, refuse?: string) => ({
    runtime: telling(refuse),
    nodeMemoryBytes: 2 ** 30,
    given,
  })
  const growing: Resize = { allocated: aPod(cpus('2'), cpus('1')), restarts: new Set() }

  it('grows the pod first and shrinks it last, once', async () => {
    const given = new Map<string, string>()
    expect(await applyResources(growing, { observed, started: [] }, tools(given))).toBeUndefined()
    expect(calls).toEqual(['s 200000', 'web-0 200000', 's 200000'])
    await applyResources(growing, { observed, started: [] }, tools(given))
    expect(calls).toEqual([])
    await applyResources({ ...growing, allocated: aPod(cpus('1'), cpus('2')) }, { observed, started: [] }, tools(given))
    expect(calls).toEqual(['s 200000', 'web-0 100000', 's 100000'])
  })
  it('leaves alone what has just begun, what does not run, and what will begin again', async () => {
    await applyResources(growing, { observed, started: ['web'] }, tools(new Map()))
    const ended = { ...observed, containers: [{ ...running, state: 'exited' } as Container] }
    await applyResources(growing, { observed: ended, started: [] }, tools(new Map()))
    await applyResources({ ...growing, restarts: new Set(['web']) }, { observed, started: [] }, tools(new Map()))
    expect(calls).toEqual([])
  })
  it('the pod as a whole follows, too, where its containers have begun again', async () => {
    const given = new Map([['s', 'as before']])
    await applyResources(growing, { observed, started: ['web'] }, tools(given))
    expect(calls).toEqual(['s 200000', 's 200000'])
  })
  it('tells what was refused, and tries again next time', async () => {
    const given = new Map<string, string>()
    expect(await applyResources(growing, { observed, started: [] }, tools(given, 'web-0'))).toBe('EBUSY')
    await applyResources(growing, { observed, started: [] }, tools(given))
    expect(calls).toContain('web-0 200000')
  })
})

describe('resizeEvent', () => {
  it('once for each new state', () => {
    const calm: Resize = { allocated: aPod(cpus('1'), cpus('1')), restarts: new Set() }
    const waiting: Resize = { ...calm, pending: { reason: 'Deferred', message: 'no room' } }
    expect(resizeEvent(calm, undefined)).toBeUndefined()
    expect(resizeEvent(waiting, calm)?.reason).toBe('ResizeDeferred')
    expect(resizeEvent(waiting, waiting)).toBeUndefined()
    expect(resizeEvent({ ...calm, failed: 'EBUSY' }, calm)?.message).toBe('Pod resize error: EBUSY')
  })
})

describe('asBefore', () => {
  it('keeps what no status speaks of', () => {
    expect(webOf(asBefore(aPod(cpus('2'), undefined)))).toEqual(cpus('2'))
  })
})
