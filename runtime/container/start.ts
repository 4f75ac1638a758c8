import { hasCode } from '../base/errors.ts'
import { type Report, stepError } from '../tape/play.ts'
import { birthOf } from './create.ts'
import { explainExec } from './explain-exec.ts'
import type { Workplace } from './player.ts'
import { savedConfig } from './saved-config.ts'
import { type ContainerState, stateFrom } from './state.ts'

/** Opens the gate of a created container. Throws NOT_FOUND, WRONG_STATE, EXEC_FAILED (with what is missing), TAPE_STEP_FAILED. */
export async function start(place: Workplace, id: string): Promise<ContainerState> {
  try {
    return stateFrom(await place.player.start(id), { status: 'running' })
  } catch (error) {
    if (!hasCode(error, 'PLAY_FAILED') || error.facts.index === undefined) throw error
    const config = savedConfig(place.root, id)
    const failed = stepError(birthOf(place, id, config).tape, error.facts as unknown as Report)
    throw explainExec(failed, config)
  }
}
