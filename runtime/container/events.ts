import type { LauncherClient } from '../launcher/client.ts'
import type { RuntimeEvent } from '../launcher/protocol.ts'
import { listStates } from './state.ts'

/**
 * Starts and ends of containers until `signal` is aborted. When the launcher had to be replaced, the ends that fell
 * into the gap are told again from disk: an end may come twice, but never not at all.
 */
export async function* events(client: LauncherClient, signal: AbortSignal): AsyncGenerator<RuntimeEvent> {
  const queue: RuntimeEvent[] = []
  let wake = Promise.withResolvers<void>()
  const put = (...more: RuntimeEvent[]) => {
    queue.push(...more)
    wake.resolve()
  }
  const onAbort = () => wake.resolve()
  const stop = await client.subscribe((event) => {
    if (event === 'reconnected') put(...endsOnDisk(client.place.root))
    else put(event)
  })
  signal.addEventListener('abort', onAbort)
  try {
    while (!signal.aborted) {
      const event = queue.shift()
      if (event) {
        yield event
        continue
      }
      await wake.promise
      wake = Promise.withResolvers()
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    stop()
  }
}

function endsOnDisk(root: string): RuntimeEvent[] {
  return listStates(root).flatMap(({ id, status, finishedAt, exitCode, signal, oomKilled, reason }) => {
    if (status !== 'stopped' || finishedAt === undefined || exitCode === undefined) return []
    const extra = { ...(signal === undefined ? {} : { signal }), ...(reason === undefined ? {} : { reason }) }
    return [{ type: 'exited' as const, id, at: finishedAt, exitCode, oomKilled: oomKilled ?? false, ...extra }]
  })
}
