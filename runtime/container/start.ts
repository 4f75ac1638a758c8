import { hasCode } from '../base/errors.ts'
import { readRecord } from '../launcher/records.ts'
import { type Report, stepError } from '../tape/play.ts'
import { birthOf } from './create.ts'
import { containerError } from './errors.ts'
import { signalProcess } from './kill.ts'
import type { Workplace } from './player.ts'
import { savedConfig } from './saved-config.ts'
import { type ContainerState, stateFrom } from './state.ts'

/**
 * Opens the gate of a created container. Throws NOT_FOUND, WRONG_STATE, EXEC_FAILED (with what is missing),
 * TAPE_STEP_FAILED, HOOK_FAILED (the container is killed).
 */
export async function start(place: Workplace, id: string): Promise<ContainerState> {
  try {
    const record = await place.player.start(id, () => runOrKill(place, id, 'startContainer'))
    if (record.hasHooks) await runOrKill(place, id, 'poststart')
    return stateFrom(record, { status: 'running' })
  } catch (error) {
    if (!hasCode(error, 'PLAY_FAILED') || error.facts.index === undefined) throw error
    const config = savedConfig(place.root, id)
    const played = place.trace?.entryOf(Number(error.facts.index)) ?? Number(error.facts.index)
    const { tape } = birthOf(place, id, config)
    // Counted from the end, where the two tapes are the same.
    const index = played + tape.entries.length - (readRecord(place.root, id)?.steps ?? tape.entries.length)
    const { explainExec } = await import('./explain-exec.ts')
    throw explainExec(stepError(tape, { ...error.facts, index } as unknown as Report), config)
  }
}

/** The spec's rule for hooks of start: when one fails, the container is stopped and the error told. */
async function runOrKill(
  { root, environment }: Workplace,
  id: string,
  kind: 'startContainer' | 'poststart',
): Promise<void> {
  const record = readRecord(root, id)
  if (record?.pid === undefined) throw containerError('NOT_FOUND', `start ${id}: it has been deleted meanwhile`, { id })
  const { runHooks } = await import('./hooks.ts')
  try {
    const status = kind === 'poststart' ? 'running' : 'created'
    await runHooks(kind, { record, spec: savedConfig(root, id).spec, status, pid: record.pid, environment })
  } catch (error) {
    signalProcess(record.pid, 9, record.startTime)
    throw error
  }
}
