import type { Birth } from '../birth/order.ts'
import type { AtGate } from '../launcher/gates.ts'
import type { ContainerRecord, ForeignMarks, TapeMarks } from '../launcher/protocol.ts'
import type { SyscallTape } from '../tape/syscall-tape.ts'

export interface BirthToPlay {
  tape: Uint8Array
  marks: TapeMarks
  /** Does what belongs to the gates before the last one. */
  atGate: AtGate
  /** More descriptors for the player: its number, and ours. Only for one that plays in this process. */
  descriptors?: ReadonlyMap<number, number>
  /** Called once the player has its descriptors. */
  onStarted?: () => void
  /** The tape becomes another OCI runtime. */
  foreign?: ForeignMarks
}

/** A tape that tells of its own calls, with the marks that it has by that. */
export interface TracedBirth {
  tape: SyscallTape
  marks: TapeMarks
  /** More descriptors for the player: its number, and ours. */
  descriptors: ReadonlyMap<number, number>
  /** To be called once the player has them. */
  onStarted(): void
}

/** Watches a birth call by call; see trace.ts. */
export interface BirthTrace {
  interleave(birth: Birth): TracedBirth
  /** The entry of the recorded tape to which one of the traced tape belongs. */
  entryOf(place: number): number
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
  trace?: BirthTrace
  /** Called with the new folder of a container before anything is in it. */
  claim?: (folder: string) => void
  player: Player
  /** The caller's, as `NAME=value`: hooks on the host that name none have it. */
  environment?: string[]
  warn(message: string): void
}
