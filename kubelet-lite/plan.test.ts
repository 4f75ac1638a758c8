import { describe, expect, it } from 'vitest'
import type { Container as ContainerSpec, Pod } from '../orchestrator/api/types.ts'
import type { Container, Sandbox } from './cri/types.ts'
import { type Action, type ObservedPod, type PlanInput, plan, planRemoval } from './plan.ts'

const now = 1_000_000
const aSandbox = (change: Partial<Sandbox> = {}): Sandbox => ({
  id: `sandbox-${change.attempt ?? 0}`,
  podUid: 'u',
  namespace: 'default',
  name: 'p',
  attempt: 0,
  ready: true,
  createdAt: now - 1000,
  ips: ['10.0.0.2'],
  ...change,
})
const aContainer = (change: Partial<Container> = {}): Container => ({
  id: `${change.name ?? 'web'}-${change.attempt ?? 0}`,
  sandboxId: 'sandbox-0',
  podUid: 'u',
  name: 'web',
  attempt: 0,
  hash: 'image',
  image: 'image',
  imageId: '',
  state: 'running',
  createdAt: now - 900,
  logPath: '',
  ...change,
})
const exited = (exitCode: number, change: Partial<Container> = {}) =>
  aContainer({ state: 'exited', exitCode, ...change })
const spec = (name: string, change: Partial<ContainerSpec> = {}): ContainerSpec => ({ name, image: 'image', ...change })
const aPod = (change: Partial<NonNullable<Pod['spec']>> = {}): Pod => ({
  metadata: { uid: 'u', name: 'p', namespace: 'default' },
  spec: { restartPolicy: 'Always', terminationGracePeriodSeconds: 30, containers: [spec('web')], ...change },
})
const plans = (pod: Pod, observed: Partial<ObservedPod>, change: Partial<PlanInput> = {}) =>
  plan({
    pod,
    observed: { sandboxes: [], containers: [], ...observed },
    now,
    notBefore: new Map(),
    unhealthy: new Map(),
    started: new Set(observed.containers?.map((each) => each.id)),
    ...change,
  })
const words = (actions: readonly Action[]) =>
  actions.map((action) => {
    switch (action.do) {
      case 'createSandbox':
        return `createSandbox ${action.attempt}`
      case 'startContainer':
        return `start ${action.container.name} ${action.attempt}`
      case 'stopContainer':
        return `stop ${action.container.id} by ${action.deadline - now}`
      case 'removeContainer':
        return `remove ${action.container.id}`
      default:
        return `${action.do} ${action.sandbox.id}`
    }
  })
const planned = (...args: Parameters<typeof plans>) => words(plans(...args).actions)

describe('plan', () => {
  it('sandbox: first of all', () => {
    expect(planned(aPod(), {})).toEqual(['createSandbox 0'])
  })
  it('sandbox: waits for its backoff', () => {
    const result = plans(aPod(), {}, { notBefore: new Map([['', now + 500]]) })
    expect(result).toEqual({ actions: [], again: now + 500 })
  })
  it('sandbox: replaced under the next attempt when it is gone, after its containers have ended', () => {
    const dead = { sandboxes: [aSandbox({ ready: false })] }
    expect(planned(aPod(), { ...dead, containers: [aContainer()] })).toEqual([`stop web-0 by ${-now}`])
    expect(planned(aPod(), { ...dead, containers: [exited(137)] })).toEqual([
      'stopSandbox sandbox-0',
      'createSandbox 1',
    ])
  })
  it('container: started in a ready sandbox, left alone when it runs', () => {
    expect(planned(aPod(), { sandboxes: [aSandbox()] })).toEqual(['start web 0'])
    expect(planned(aPod(), { sandboxes: [aSandbox()], containers: [aContainer()] })).toEqual([])
  })
  it('container: one that was only half made is taken away and made again under the same attempt', () => {
    const half = { sandboxes: [aSandbox()], containers: [aContainer({ state: 'created' })] }
    expect(planned(aPod(), half)).toEqual(['remove web-0', 'start web 0'])
  })
  it('ephemeral container: runs once, also beside init containers, and its end neither restarts it nor ends the pod', () => {
    const pod = aPod({ initContainers: [spec('init')], ephemeralContainers: [{ name: 'debugger', image: 'tools' }] })
    const debugging = aContainer({ name: 'debugger' })
    expect(planned(pod, { sandboxes: [aSandbox()] })).toEqual(['start debugger 0', 'start init 0'])
    const both = { sandboxes: [aSandbox()], containers: [aContainer(), debugging] }
    expect(planned(pod, both)).toEqual([])
    expect(planned(pod, { ...both, containers: [aContainer(), exited(1, { name: 'debugger' })] })).toEqual([])
    const waiting = plans(pod, { ...both, containers: [aContainer()] }, { notBefore: new Map([['debugger', now + 9]]) })
    expect(waiting).toEqual({ actions: [], again: now + 9 })
  })
  it('ephemeral container: stopped with a pod that is over', () => {
    const pod = aPod({ restartPolicy: 'Never', ephemeralContainers: [{ name: 'debugger', image: 'tools' }] })
    const containers = [exited(0), aContainer({ name: 'debugger' })]
    expect(planned(pod, { sandboxes: [aSandbox()], containers })).toEqual(['stop debugger-0 by 30000'])
  })
  it('restart: by policy and exit code', () => {
    const afterExit = (code: number) => ({ sandboxes: [aSandbox()], containers: [exited(code)] })
    expect(planned(aPod(), afterExit(0))).toEqual(['start web 1'])
    expect(planned(aPod({ restartPolicy: 'OnFailure' }), afterExit(1))).toEqual(['start web 1'])
    expect(planned(aPod({ restartPolicy: 'OnFailure' }), afterExit(0))).toEqual(['stopSandbox sandbox-0'])
    expect(planned(aPod({ restartPolicy: 'Never' }), afterExit(1))).toEqual(['stopSandbox sandbox-0'])
  })
  it('restart: who was stopped to begin again does so, though it ended well; not with Never', () => {
    const observed = { sandboxes: [aSandbox()], containers: [exited(0)], replaced: new Set([exited(0).id]) }
    expect(planned(aPod({ restartPolicy: 'OnFailure' }), observed)).toEqual(['start web 1'])
    expect(planned(aPod({ restartPolicy: 'Never' }), observed)).toEqual(['stopSandbox sandbox-0'])
  })
  it('restart: waits for the crash backoff and says until when', () => {
    const result = plans(
      aPod(),
      { sandboxes: [aSandbox()], containers: [exited(1)] },
      { notBefore: new Map([['web', now + 10_000]]) },
    )
    expect(result).toEqual({ actions: [], again: now + 10_000 })
  })
  it('records: only the newest two runs are kept', () => {
    const containers = [0, 1, 2].map((attempt) => exited(1, { attempt }))
    expect(planned(aPod(), { sandboxes: [aSandbox()], containers })).toEqual(['remove web-0', 'start web 3'])
  })
  it('change: another image replaces the container within its grace period', () => {
    const running = { sandboxes: [aSandbox()], containers: [aContainer({ hash: 'old' })] }
    expect(planned(aPod(), running)).toEqual(['stop web-0 by 30000'])
  })
  it('probe: an unhealthy container is stopped', () => {
    const running = { sandboxes: [aSandbox()], containers: [aContainer()] }
    const given = (graceSeconds?: number) => ({
      unhealthy: new Map([['web-0', { probe: 'liveness' as const, ...(graceSeconds ? { graceSeconds } : {}) }]]),
    })
    expect(planned(aPod(), running, given())).toEqual(['stop web-0 by 30000'])
    expect(planned(aPod(), running, given(3))).toEqual(['stop web-0 by 3000'])
  })
  it('ending, or an end that was reported before: nothing is started any more', () => {
    const ending = { reason: 'DeadlineExceeded', message: '' }
    const running = { sandboxes: [aSandbox()], containers: [aContainer()] }
    expect(planned(aPod(), running, { ending })).toEqual(['stop web-0 by 30000'])
    expect(planned(aPod(), { sandboxes: [aSandbox()] }, { ending })).toEqual(['stopSandbox sandbox-0'])
    const failed = { ...aPod(), status: { phase: 'Failed' } }
    expect(planned(failed, { sandboxes: [aSandbox()], containers: [exited(1)] })).toEqual(['stopSandbox sandbox-0'])
  })
})

describe('plan: init containers', () => {
  const pod = aPod({ initContainers: [spec('first'), spec('second')] })
  const sandboxes = [aSandbox()]
  it('run one after the other, before the others', () => {
    expect(planned(pod, { sandboxes })).toEqual(['start first 0'])
    expect(planned(pod, { sandboxes, containers: [exited(0, { name: 'first' })] })).toEqual(['start second 0'])
    const done = [exited(0, { name: 'first' }), exited(0, { name: 'second' })]
    expect(planned(pod, { sandboxes, containers: done })).toEqual(['start web 0'])
  })
  it('a failed one is tried again, or ends the pod with restartPolicy Never', () => {
    const failed = { sandboxes, containers: [exited(1, { name: 'first' })] }
    expect(planned(pod, failed)).toEqual(['start first 1'])
    const never = aPod({ restartPolicy: 'Never', initContainers: [spec('first')] })
    expect(planned(never, failed)).toEqual(['stopSandbox sandbox-0'])
  })
  it('run again in a new sandbox', () => {
    const fresh = [aSandbox({ ready: false }), aSandbox({ attempt: 1, id: 'sandbox-1' })]
    const containers = [exited(0, { name: 'first' }), exited(0, { name: 'second' }), exited(137)]
    expect(planned(pod, { sandboxes: fresh, containers })).toEqual(['start first 1'])
  })
  it('a sidecar keeps running beside the others and is restarted', () => {
    const sidecar = aPod({ initContainers: [spec('proxy', { restartPolicy: 'Always' })] })
    expect(planned(sidecar, { sandboxes })).toEqual(['start proxy 0'])
    expect(planned(sidecar, { sandboxes, containers: [aContainer({ name: 'proxy' })] })).toEqual(['start web 0'])
    const crashed = [exited(1, { name: 'proxy' }), aContainer()]
    expect(planned(sidecar, { sandboxes, containers: crashed })).toEqual(['start proxy 1'])
  })
  it('a sidecar holds the next one up until its startup probe has passed', () => {
    const sidecar = aPod({ initContainers: [spec('proxy', { restartPolicy: 'Always' })] })
    const running = { sandboxes, containers: [aContainer({ name: 'proxy' })] }
    expect(planned(sidecar, running, { started: new Set() })).toEqual([])
  })
  it('a sidecar that waits for its backoff does not keep the others from being restarted', () => {
    const sidecar = aPod({ initContainers: [spec('proxy', { restartPolicy: 'Always' })] })
    const crashed = { sandboxes, containers: [exited(1, { name: 'proxy' }), exited(1)] }
    expect(planned(sidecar, crashed, { notBefore: new Map([['proxy', now + 1]]) })).toEqual(['start web 1'])
  })
})

describe('plan: the end', () => {
  const terminating = { deadline: now + 5000 }
  it('containers first, then the sandbox', () => {
    const running = { sandboxes: [aSandbox()], containers: [aContainer()] }
    expect(planned(aPod(), running, { terminating })).toEqual(['stop web-0 by 5000'])
    const ended = { sandboxes: [aSandbox()], containers: [exited(0)] }
    expect(planned(aPod(), ended, { terminating })).toEqual(['stopSandbox sandbox-0'])
  })
  it('sidecars end after the others, the last one first, with time of their own', () => {
    const pod = aPod({
      initContainers: [spec('a', { restartPolicy: 'Always' }), spec('b', { restartPolicy: 'Always' })],
    })
    const sidecars = [aContainer({ name: 'a' }), aContainer({ name: 'b' })]
    const by = (containers: Container[], deadline = now + 5000) =>
      planned(pod, { sandboxes: [aSandbox()], containers }, { terminating: { deadline } })
    expect(by([...sidecars, aContainer()])).toEqual(['stop web-0 by 5000'])
    expect(by([...sidecars, exited(0)])).toEqual(['stop b-0 by 5000'])
    expect(by([aContainer({ name: 'a' }), exited(0, { name: 'b' }), exited(0)], now)).toEqual(['stop a-0 by 2000'])
  })
  it('planRemoval: takes every record away', () => {
    const ended = { sandboxes: [aSandbox({ ready: false })], containers: [exited(0)] }
    expect(words(planRemoval(ended))).toEqual(['remove web-0', 'stopSandbox sandbox-0', 'removeSandbox sandbox-0'])
  })
})
