import { pipeline } from 'node:stream/promises'
import { errnoOf, messageOf } from '../../runtime/base/errors.ts'
import type { Upgrade } from './remote-command.ts'
import { acceptPortForward, type ForwardedConnection } from './streaming/index.ts'
import type { Target } from './target.ts'

/** UPG /portForward: joins each connection that the client opens with one to the pod's port, until the client goes. */
export async function portForward(target: Target, upgrade: Upgrade): Promise<void> {
  const session = await acceptPortForward(upgrade)
  for await (const connection of session.connections) void join(target, connection)
}

/** How long the client may go on sending after the pod's last word. */
const lastWordsMs = 1000

/** The connection may still be on its way when we get it: that nobody listens is then the first thing heard of it. */
function throwIfRefused(error: unknown): void {
  if (errnoOf(error) === 'ECONNREFUSED') throw error
}

async function join({ options, pod }: Target, { port, data, error }: ForwardedConnection): Promise<void> {
  try {
    const inside = await options.runtime.connectPort(pod.metadata?.uid ?? '', port)
    // Once they are connected, the end of either side is the end, not an error: kubectl would give the whole session up.
    const inward = pipeline(data, inside).catch(() => undefined)
    await pipeline(inside, data).catch(throwIfRefused)
    // The pod has said all. Older kubectls close their side only when they hear of the end; no longer, as in containerd.
    await Promise.race([inward, options.clock.sleep(lastWordsMs)])
    error.end()
    inside.destroy()
  } catch (thrown) {
    error.end(`error forwarding port ${port} to pod ${pod.metadata?.name}: ${messageOf(thrown)}`)
    data.destroy()
  }
}
