import { resolve } from 'node:path'
import { type CreateOptions, create } from '../runtime/container/create.ts'
import { launcherPlayer } from '../runtime/container/launcher-player.ts'
import type { Workplace } from '../runtime/container/player.ts'
import { start } from '../runtime/container/start.ts'
import { LauncherClient } from '../runtime/launcher/client.ts'
import { type Call, usage } from './oci-act.ts'

/** The resident launcher makes the container and keeps it: its output, its exit. Answers the pid. */
export async function createByLauncher(call: Call, options: CreateOptions): Promise<number | undefined> {
  if (options.wishes || call.flags.has('console-socket') || call.flags.has('trace')) {
    throw usage('--launcher: not together with --console-socket, --preserve-fds, --no-pivot, --no-new-keyring, --trace')
  }
  return withLauncher(call, async (place) => (await create(place, options)).pid)
}

/** Has the launcher that keeps a container open its gate. */
export async function startByLauncher(call: Call, id: string): Promise<void> {
  await withLauncher(call, (place) => start(place, id))
}

async function withLauncher<Result>(call: Call, act: (place: Workplace) => Promise<Result>): Promise<Result> {
  const { warn } = call
  const root = resolve(call.flags.text('launcher') ?? '')
  const log = { debug: () => {}, info: () => {}, warn, error: warn }
  const client = new LauncherClient({ root, log })
  try {
    return await act({ root, player: launcherPlayer(client), warn })
  } finally {
    await client.close()
  }
}
