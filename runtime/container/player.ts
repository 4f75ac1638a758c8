import type { AtGate } from '../launcher/gates.ts'
import type { ContainerRecord, ForeignMarks, TapeMarks } from '../launcher/protocol.ts'

export interface BirthToPlay {
  tape: Uint8Array
  marks: TapeMarks
  /** Does what belongs to the gates before the last one. */
  atGate: AtGate
  /** The tape becomes another OCI runtime. */
  foreign?: ForeignMarks
}

/** What the verbs need of whoever plays their tapes: the resident launcher, or this very process (CLI). */
export interface Player {
  readonly keeper: ContainerRecord['keeper']
  /** Plays up to the last gate and leaves the record, with the pid, on disk. Throws PLAY_FAILED, and what `atGate` throws. */
  create(record: ContainerRecord, birth: BirthToPlay): Promise<ContainerRecord>
  /**
   * Opens the gate; returns when execve has happened. `beforeStart` is called first, for a container with hooks. Throws
   * PLAY_FAILED, what `beforeStart` throws, and WRONG_STATE without touching anything.
   */
  start(id: string, beforeStart: () => Promise<void>): Promise<ContainerRecord>
  /** Resolves once the container has ended. */
  wait(id: string): Promise<void>
}

/** Where the verbs work. */
export interface Workplace {
  root: string
  player: Player
  warn(message: string): void
}
