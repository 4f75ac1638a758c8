import type { LauncherClient } from '../launcher/client.ts'
import type { ContainerRecord } from '../launcher/protocol.ts'
import type { Player } from './player.ts'

/** Tapes played by the resident launcher. */
export function launcherPlayer(client: LauncherClient): Player {
  return {
    keeper: 'launcher',
    async create(record, { tape, marks }) {
      const answer = await client.call({ op: 'create', record, marks }, tape)
      return answer.record as ContainerRecord
    },
    start: async (id) => String((await client.call({ op: 'start', id })).startedAt),
    wait: async (id) => void (await client.call({ op: 'wait', id })),
    forget: async (id) => void (await client.call({ op: 'forget', id })),
  }
}
