import type { ContainerRecord, ForeignMarks, TapeMarks } from '../launcher/protocol.ts'

/** What the verbs need of whoever plays their tapes: the resident launcher, or this very process (CLI). */
export interface Player {
  readonly keeper: ContainerRecord['keeper']
  /** Plays up to the gate and leaves the record, with the pid, on disk. Throws PLAY_FAILED. */
  create(
    record: ContainerRecord,
    birth: { tape: Uint8Array; marks: TapeMarks; foreign?: ForeignMarks },
  ): Promise<ContainerRecord>
  /** Opens the gate; returns when execve has happened. Throws PLAY_FAILED, and WRONG_STATE without touching anything. */
  start(id: string): Promise<ContainerRecord>
  /** Resolves once the container has ended. */
  wait(id: string): Promise<void>
}

/** Where the verbs work. */
export interface Workplace {
  root: string
  player: Player
  warn(message: string): void
}
