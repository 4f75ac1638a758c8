import { messageOf, runAll } from '../base/errors.ts'
import { makeFolder, rootPath } from './container-folder.ts'
import { removeTraces } from './delete.ts'
import { foreignStep, noMarks, recordForeignCreate, removeForeign } from './foreign.ts'
import type { Owned } from './is-foreign.ts'
import type { Workplace } from './player.ts'
import { type SavedConfig, saveConfig } from './saved-config.ts'
import { type ContainerState, stateFrom } from './state.ts'

/** Has another runtime make the container; its cgroup too is that runtime's to make. */
export async function createForeign(place: Workplace, record: Owned, config: SavedConfig): Promise<ContainerState> {
  const { root, player } = place
  makeFolder(place, record.id, config.rootfs !== undefined)
  try {
    saveConfig(root, record.id, config)
    const { tape, marks } = recordForeignCreate(root, record, {
      ...config,
      rootPath: rootPath(root, record.id, config),
    })
    try {
      const born = await player.create(record, {
        tape: tape.encode(),
        marks: noMarks,
        foreign: marks,
        atGate: async () => {},
      })
      return stateFrom(born, { status: 'created' })
    } catch (error) {
      throw foreignStep(error, tape)
    }
  } catch (error) {
    await runAll(`undo create ${record.id}`, [
      () => removeForeign(root, record),
      () => removeTraces(place, record.id, record.cgroupPath),
    ]).catch((undo) => place.warn(messageOf(undo)))
    throw error
  }
}
