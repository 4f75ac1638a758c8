import { describe, expect, it } from 'vitest'
import type { Pod } from '../orchestrator/api/types.ts'
import type { Container, Sandbox } from './cri/types.ts'
import { podStatus, type StatusInput } from './status.ts'

const now = Date.parse('2026-01-02T03:04:05.678Z')
const sandbox: Sandbox = {
  id: 's',
  podUid: 'u',
  namespace: 'default',
  name: 'p',
  attempt: 0,
  ready: true,
  createdAt: now,
  ips: ['10.244.0.7'],
}
const aContainer = (change: Partial<Container> = {}): Container => ({
  id: `web-${change.attempt ?? 0}`,
  sandboxId: 's',
  podUid: 'u',
  name: 'web',
  attempt: 0,
  hash: '',
  image: 'image',
  imageId: 'sha256:1',
  state: 'running',
  createdAt: now,
  startedAt: now,
  logPath: '',
  ...change,
})
const exited = (exitCode: number, change: Partial<Container> = {}) =>
  aContainer({ state: 'exited', exitCode, finishedAt: now, reason: exitCode === 0 ? 'Completed' : 'Error', ...change })
const aPod = (change: Partial<NonNullable<Pod['spec']>> = {}, status?: Pod['status']): Pod => ({
  metadata: { uid: 'u', name: 'p', namespace: 'default' },
  spec: { restartPolicy: 'Always', containers: [{ name: 'web', image: 'image' }], ...change },
  ...(status ? { status } : {}),
})
const status = (change: Partial<StatusInput> = {}) =>
  podStatus({
    pod: aPod(),
    observed: { sandboxes: [sandbox], containers: [aContainer()] },
    waiting: new Map(),
    ready: new Set(['web-0']),
    started: new Set(['web-0', 'web-1', 'proxy-0']),
    nodeIP: '192.0.2.1',
    now,
    terminating: false,
    ...change,
  })
const conditionOf = (of: ReturnType<typeof status>, type: string) => of.conditions?.find((each) => each.type === type)

describe('podStatus', () => {
  it('Running: with its addresses, a running state and all conditions true', () => {
    const found = status()
    expect(found).toMatchObject({
      phase: 'Running',
      podIP: '10.244.0.7',
      hostIP: '192.0.2.1',
      startTime: '2026-01-02T03:04:05Z',
    })
    expect(found.containerStatuses?.[0]).toMatchObject({
      ready: true,
      started: true,
      restartCount: 0,
      containerID: 'coracle://web-0',
      state: { running: { startedAt: '2026-01-02T03:04:05Z' } },
    })
    expect(found.conditions?.every((each) => each.status === 'True')).toBe(true)
  })
  it('Pending: nothing yet, ContainerCreating', () => {
    const found = status({ observed: { sandboxes: [], containers: [] } })
    expect(found.phase).toBe('Pending')
    expect(found.containerStatuses?.[0]?.state).toEqual({ waiting: { reason: 'ContainerCreating' } })
    expect(conditionOf(found, 'Ready')).toMatchObject({
      status: 'False',
      reason: 'ContainersNotReady',
      message: 'containers with unready status: [web]',
    })
  })
  it('waiting: shows the reason, and the last run as lastState', () => {
    const waiting = new Map([['web', { reason: 'CrashLoopBackOff', message: 'back-off' }]])
    const found = status({ observed: { sandboxes: [sandbox], containers: [exited(3)] }, waiting })
    expect(found.phase).toBe('Running')
    expect(found.containerStatuses?.[0]?.state).toEqual({
      waiting: { reason: 'CrashLoopBackOff', message: 'back-off' },
    })
    expect(found.containerStatuses?.[0]?.lastState?.terminated).toMatchObject({ exitCode: 3, reason: 'Error' })
  })
  it('restarted: the run before is lastState', () => {
    const containers = [exited(1), aContainer({ attempt: 1 })]
    const found = status({ observed: { sandboxes: [sandbox], containers }, ready: new Set(['web-1']) })
    expect(found.containerStatuses?.[0]).toMatchObject({
      restartCount: 1,
      ready: true,
      lastState: { terminated: { exitCode: 1 } },
    })
  })
  it('Succeeded and Failed: by exit codes, once nothing runs again', () => {
    const pod = aPod({ restartPolicy: 'Never' })
    const observed = (code: number) => ({ sandboxes: [sandbox], containers: [exited(code)] })
    expect(status({ pod, observed: observed(0) }).phase).toBe('Succeeded')
    expect(status({ pod, observed: observed(1) }).phase).toBe('Failed')
    expect(conditionOf(status({ pod, observed: observed(0) }), 'Ready')).toMatchObject({ reason: 'PodCompleted' })
  })
  it('Succeeded: only when the last sidecar has ended too', () => {
    const pod = aPod({
      restartPolicy: 'Never',
      initContainers: [{ name: 'proxy', image: 'x', restartPolicy: 'Always' }],
    })
    const proxy = (change: Partial<Container>) => aContainer({ name: 'proxy', id: 'proxy-0', ...change })
    const phaseWith = (sidecar: Container) =>
      status({ pod, observed: { sandboxes: [sandbox], containers: [sidecar, exited(0)] } }).phase
    expect(phaseWith(proxy({}))).toBe('Running')
    expect(phaseWith(proxy({ state: 'exited', exitCode: 143 }))).toBe('Succeeded')
  })
  it('ending: Failed with its reason once nothing runs', () => {
    const ending = { reason: 'DeadlineExceeded', message: 'too long' }
    expect(status({ ending }).phase).toBe('Running')
    const found = status({ ending, observed: { sandboxes: [], containers: [exited(137)] } })
    expect(found).toMatchObject({ phase: 'Failed', ...ending })
    expect(status({ pod: aPod({}, found) })).toMatchObject({ phase: 'Failed', ...ending })
  })
  it('ending: what had not begun by then never will, and is over too', () => {
    const ending = { reason: 'DeadlineExceeded', message: 'too long' }
    const observed = { sandboxes: [sandbox], containers: [] }
    const found = status({ ending, observed, waiting: new Map([['', { reason: 'ContainerCreating' }]]) })
    expect(found).toMatchObject({ phase: 'Failed', ...ending })
    expect(found.containerStatuses?.[0]?.state?.terminated).toMatchObject({
      exitCode: 137,
      reason: 'ContainerStatusUnknown',
    })
  })
  it('started: false until the startup probe has passed', () => {
    expect(status({ started: new Set() }).containerStatuses?.[0]).toMatchObject({ started: false })
  })
  it('a final phase stays final', () => {
    const pod = aPod({}, { phase: 'Failed' })
    expect(status({ pod }).phase).toBe('Failed')
  })
  it('init containers: the others wait with PodInitializing, and so do further init containers', () => {
    const image = 'image'
    const pod = aPod({
      initContainers: [
        { name: 'init', image },
        { name: 'next', image },
      ],
    })
    const observed = { sandboxes: [sandbox], containers: [aContainer({ name: 'init', id: 'init-0' })] }
    const found = status({ pod, observed, ready: new Set() })
    expect(found.phase).toBe('Pending')
    expect(found.containerStatuses?.[0]?.state).toEqual({ waiting: { reason: 'PodInitializing' } })
    expect(found.initContainerStatuses?.[1]?.state).toEqual({ waiting: { reason: 'PodInitializing' } })
    expect(conditionOf(found, 'Initialized')).toMatchObject({ status: 'False', reason: 'ContainersNotInitialized' })
  })
  it('conditions: an unchanged one keeps its transition time, a foreign one is kept', () => {
    const before = {
      conditions: [
        { type: 'Ready', status: 'True', lastTransitionTime: '2020-01-01T00:00:00Z' },
        { type: 'example.com/gate', status: 'True' },
      ],
    }
    const found = status({ pod: aPod({}, before) })
    expect(conditionOf(found, 'Ready')?.lastTransitionTime).toBe('2020-01-01T00:00:00Z')
    expect(conditionOf(found, 'example.com/gate')).toBeDefined()
  })
  it('ephemeral container: told of by itself, and its exit code is not the pod’s', () => {
    const pod = aPod({ restartPolicy: 'Never', ephemeralContainers: [{ name: 'debugger', image: 'tools' }] })
    const waiting = status({ pod, waiting: new Map([['debugger', { reason: 'ErrImagePull', message: 'no' }]]) })
    expect(waiting.phase).toBe('Running')
    expect(waiting.ephemeralContainerStatuses).toEqual([
      expect.objectContaining({
        name: 'debugger',
        ready: false,
        restartCount: 0,
        state: { waiting: { reason: 'ErrImagePull', message: 'no' } },
      }),
    ])
    expect(conditionOf(waiting, 'Ready')?.status).toBe('True')
    const debugged = exited(3, { name: 'debugger', id: 'debugger-0' })
    const over = status({ pod, observed: { sandboxes: [sandbox], containers: [exited(0), debugged] } })
    expect(over.phase).toBe('Succeeded')
    expect(over.ephemeralContainerStatuses?.[0]?.state?.terminated).toMatchObject({ exitCode: 3, reason: 'Error' })
  })
  it('resources: those that a running container has, whatever a resize asks for', () => {
    const [few, many] = ['100m', '200m'].map((cpu) => ({ requests: { cpu }, limits: { cpu } }))
    const withResources = (resources: typeof few) =>
      aPod({ containers: [{ name: 'web', image: 'image', ...(resources && { resources }) }] })
    const shown = status({ pod: withResources(few) }).containerStatuses?.[0]
    expect(shown).toMatchObject({ resources: few, allocatedResources: { cpu: '100m' } })
    expect(status().containerStatuses?.[0]?.resources).toEqual({})
    const pod = { ...withResources(many), status: status({ pod: withResources(few) }) }
    const resize = { allocated: pod, restarts: new Set<string>() }
    expect(status({ pod, resize }).containerStatuses?.[0]?.resources).toEqual(many)
    const leaving = { ...resize, restarts: new Set(['web']) }
    expect(status({ pod, resize: leaving }).containerStatuses?.[0]?.resources).toEqual(few)
    const failing = status({ pod, resize: { ...resize, failed: 'EBUSY' } })
    expect(failing.containerStatuses?.[0]?.resources).toEqual(few)
    expect(conditionOf(failing, 'PodResizeInProgress')).toMatchObject({ reason: 'Error', message: 'EBUSY' })
    expect(conditionOf(status({ pod: { ...pod, status: failing }, resize }), 'PodResizeInProgress')).toBeUndefined()
  })
  it('readiness gate: not ready until somebody says so', () => {
    const pod = aPod({ readinessGates: [{ conditionType: 'example.com/gate' }] })
    expect(conditionOf(status({ pod }), 'Ready')).toMatchObject({ status: 'False', reason: 'ReadinessGatesNotReady' })
    expect(conditionOf(status({ pod }), 'ContainersReady')).toMatchObject({ status: 'True' })
  })
})
