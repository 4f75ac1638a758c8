import { hasCode } from '../base/errors.ts'
import type { LauncherClient } from '../launcher/client.ts'
import type { GateNotice } from '../launcher/gates.ts'
import type { ContainerRecord } from '../launcher/protocol.ts'
import { hasExit, readRecord } from '../launcher/records.ts'
import { foreignStep, recordForeignStart } from './foreign.ts'
import { isForeign, type Owned } from './is-foreign.ts'
import type { Player } from './player.ts'
import { requireState } from './state.ts'

/** Tapes played by the resident launcher. */
export function launcherPlayer(client: LauncherClient): Player {
  const { root } = client.place
  return {
    keeper: 'launcher',
    async create(record, { tape, atGate, ...request }) {
      let failed: unknown
      let atWork: Promise<void> = Promise.resolve()
      const onGate = async (gate: GateNotice) => {
        await atGate(gate).catch((error) => {
          failed = error
        })
        // When the launcher is lost, so is the request that waits, and it says so.
        await client.call({ op: 'open-gate', id: record.id, failed: failed !== undefined }).catch(() => {})
      }
      try {
        return (
          await client.call({ op: 'create', record, ...request }, tape, (gate) => {
            atWork = onGate(gate)
          })
        ).record as ContainerRecord
      } catch (error) {
        // Hooks may still run when the launcher is gone, and nothing is undone under their feet.
        await atWork
        throw failed ?? error
      }
    },
    async start(id, beforeStart) {
      try {
        const own = readRecord(root, id)
        if (isForeign(own)) return await startForeign(client, own)
        const answer = await client.call({ op: 'start', id })
        if (!answer.hooksFirst) return answer.record as ContainerRecord
        await beforeStart()
        return (await client.call({ op: 'start', id, hooked: true })).record as ContainerRecord
      } catch (error) {
        // The launcher knows the containers that live; why another one cannot be started is said on disk.
        const isUnknown = hasCode(error, 'NOT_FOUND') || hasCode(error, 'NOT_RUNNING')
        if (isUnknown) requireState(root, id, { verb: 'start', states: ['created'] })
        throw error
      }
    },
    async wait(id) {
      if (hasExit(root, id)) return
      try {
        await client.call({ op: 'wait', id })
      } catch (error) {
        // It has ended, or ended and been deleted, since we looked.
        if (!hasCode(error, 'NOT_FOUND') || (readRecord(root, id) && !hasExit(root, id))) throw error
      }
    },
  }
}

async function startForeign(client: LauncherClient, record: Owned): Promise<ContainerRecord> {
  const { tape, marks } = recordForeignStart(client.place.root, record)
  try {
    const answer = await client.call({ op: 'start', id: record.id, foreign: marks }, tape.encode())
    return answer.record as ContainerRecord
  } catch (error) {
    throw foreignStep(error, tape)
  }
}
