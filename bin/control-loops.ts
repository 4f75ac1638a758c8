/** Scheduler and controllers: here always, or where several servers share a store, here while this one leads. */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { controllerManagerPart, controllerPart, type Part, schedulerPart } from '../orchestrator/api/parts.ts'
import { startElection } from '../orchestrator/client/leader-election.ts'
import { controllers } from '../orchestrator/controllers/index.ts'
import type { ApiServer } from '../orchestrator/index.ts'
import { Scheduler } from '../orchestrator/scheduler/index.ts'
import { systemClock as clock } from '../runtime/base/clock.ts'
import { runAll } from '../runtime/base/errors.ts'
import type { Log } from '../runtime/base/log.ts'

export interface ControlLoopOptions {
  readonly server: ApiServer
  readonly log: Log
  /** True if other servers may work on the same objects. */
  readonly isShared: boolean
}

/** Starts both; what has to be stopped goes to `started`. Resolves at once where there is an election to wait for. */
export async function startControlLoops(
  { server, log, isShared }: ControlLoopOptions,
  started: (() => Promise<void>)[],
): Promise<void> {
  let scheduler: Scheduler | undefined
  server.servePath('/debug/scheduler/decisions/', (rest) => scheduler?.explain(rest))
  const startScheduler = async () => {
    scheduler = new Scheduler({ client: server.clientOf(schedulerPart), clock, log, random: Math.random })
    await scheduler.start()
    return scheduler
  }
  const startControllers = async () => {
    const tokens = { caPem: server.pki.caPem, issueLegacyToken: server.issueLegacyToken }
    const client = server.clientOf(controllerManagerPart)
    const clientOf = (account: string) => server.clientOf(controllerPart(account))
    const loops = controllers({ client, clientOf, clock, log, tokens })
    await loops.start()
    return loops
  }
  if (isShared) {
    started.push(
      takePart(server, log, [
        [schedulerPart, startScheduler],
        [controllerManagerPart, startControllers],
      ]),
    )
    return
  }
  const loops = await Promise.all([startScheduler(), startControllers()])
  started.push(() =>
    runAll(
      'stop scheduler and controllers',
      loops.map((loop) => () => loop.close()),
    ),
  )
}

type Start = () => Promise<{ close(): Promise<void> }>

/** One election each, as upstream has them, named after the program. Returns what ends them. */
function takePart(server: ApiServer, log: Log, parts: readonly (readonly [Part, Start])[]): () => Promise<void> {
  const identity = `${hostname()}_${randomUUID()}`
  const elections = parts.map(([part, start]) =>
    startElection({
      client: server.clientOf(part),
      clock,
      log,
      name: part.manager,
      identity,
      async lead(signal) {
        const part = await start()
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
        await part.close()
      },
    }),
  )
  return () =>
    runAll(
      'leave the elections',
      elections.map((election) => () => election.close()),
    )
}
