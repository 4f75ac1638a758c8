/*
 * Between launcher and clients: one unix socket, `<root>/launcher.sock`, and on it frames
 *
 *     | length of payload: u32 LE | kind: u8 | payload |
 *
 *     kind      payload        sent by
 *     json      UTF-8 JSON     both
 *     tape      bytes          client, right before the request that it belongs to
 *     stdin     bytes          client in a session; empty: end of input
 *     stdout    bytes          launcher in a session
 *     stderr    bytes          launcher in a session
 *
 * A connection begins as a control connection and stays one, unless its first request is `exec` or `attach`, which
 * make it a session. Requests may overlap; `call` pairs answers with them.
 *
 *     control                         answer                         meaning
 *     hello                           {pid}                          who are you
 *     create  + tape                  {record}                       play up to the gate; before that {gate} for each
 *                                                                    earlier gate, which waits for `open-gate`
 *     open-gate                       {}                             go on, or, with `failed`, end the birth
 *     start [+ tape]                  {record}                       open the gate; answers once execve has happened.
 *                                                                    {hooksFirst}: it has hooks; run them and ask
 *                                                                    again with `hooked`
 *     wait                            {exit}                         answers once it has ended; who has is on disk
 *     resize                          {}                             the container's terminal
 *     reopen-log                      {}                             after somebody has renamed the log
 *     subscribe                       {}                             from now on {event} frames
 *     shutdown                        {}                             leave, unless a container is left
 *
 *     session
 *     exec    + tape                  {pid}, then streams            {exit} last, after all output
 *     attach                          {pid}, then streams            {exit} last, after all output
 *       {resize} from the client at any time; closing the connection kills what exec has started
 *
 * For a container of another OCI runtime (`record.handler`) the tapes of create, start and exec become that runtime's
 * program, and `foreign` says where it leaves what we must know.
 */
import type { ErrorRecord } from '../base/errors.ts'
import type { EarlyGate } from '../birth/gate.ts'
import type { NewUserNamespace } from '../birth/user-namespace.ts'
import type { GateNotice } from './gates.ts'

export const frameKinds = ['json', 'tape', 'stdin', 'stdout', 'stderr'] as const
export type FrameKind = (typeof frameKinds)[number]

export interface LogOptions {
  path: string
  /** Rotate when a file would grow beyond this; absent: never. */
  maxBytes?: number
  /** How many files there may be, the current one included. */
  maxFiles?: number
}

/** What must be known of a container after every crash: `<root>/<id>/state.json`. */
export interface ContainerRecord {
  id: string
  kind: 'container' | 'sandbox'
  createdAt: string
  startedAt?: string
  pid?: number
  /** Of the process, in clock ticks since boot: with the pid it names one process for ever. */
  startTime?: number
  bundle?: string
  annotations: Record<string, string>
  cgroupPath: string
  log?: LogOptions
  terminal: boolean
  stdin: boolean
  stdinOnce: boolean
  /** Another OCI runtime to whom it belongs. */
  handler?: RuntimeHandler
  /** config.json has hooks: whoever starts or deletes it runs them. */
  hasHooks?: true
  /** How many entries its tape had: recorded again, it may begin otherwise, for its birth has left folders in the root. */
  steps?: number
  /** Who plays and waits: `none` leaves the process to itself, with the caller's own streams. */
  keeper: 'launcher' | 'none'
}

/** An OCI runtime of the host with the command line of runc: runc, crun, runsc … */
export interface RuntimeHandler {
  name: string
  /** Absolute. */
  binary: string
  /** Global options, before the verb. */
  args?: readonly string[]
}

/** What a program of another runtime is about to do, and where it leaves what must be known. */
export interface ForeignMarks {
  /** For errors: `runc create web`. */
  what: string
  /** Its `--log`, as JSON lines. */
  log: string
  /** Where it writes the pid of the process that it makes. */
  pidFile: string
  /** Where it sends the master of a terminal. */
  consoleSocket?: string
}

/** How a container ended: `<root>/<id>/exit.json`, written before anybody is told. */
export interface ExitRecord {
  exitCode: number
  signal?: number
  oomKilled: boolean
  finishedAt: string
  reason?: string
}

/** Entries of a tape that report something (see birth/order.ts), and what must be made before it is played. */
export interface TapeMarks {
  clone: number
  ready: number
  userNamespaces?: readonly NewUserNamespace[]
  /** Gates before the last one, in order; a plain container has none. */
  gates?: readonly EarlyGate[]
}

export type Request =
  | { op: 'hello' }
  | { op: 'create'; record: ContainerRecord; marks: TapeMarks; foreign?: ForeignMarks }
  | { op: 'start'; id: string; hooked?: boolean; foreign?: ForeignMarks }
  | { op: 'open-gate'; id: string; failed: boolean }
  | { op: 'wait' | 'reopen-log'; id: string }
  | { op: 'resize'; id: string; columns: number; rows: number }
  | { op: 'subscribe' }
  | { op: 'shutdown' }
  | { op: 'exec'; id: string; marks: TapeMarks; foreign?: ForeignMarks; terminal: boolean; stdin: boolean }
  | { op: 'attach'; id: string; stdin: boolean }

export type RuntimeEvent =
  | { type: 'started'; id: string; at: string }
  | ({ type: 'exited'; id: string; at: string } & Omit<ExitRecord, 'finishedAt'>)
  | OomEvent

/** The kernel has killed a process of the container for want of memory. */
export interface OomEvent {
  type: 'oom'
  id: string
  at: string
  /** How many it has killed there by now. */
  kills: number
  /** From the kernel's log, where it can be read; the pid is the host's. */
  victim?: { pid: number; name: string }
  /** The lowest limit above the victim, and the group whose it is: the container's own or its pod's. */
  limitBytes?: number
  limitedBy?: string
  peakBytes?: number
}

/** From the launcher, as JSON. */
export type Answer =
  | { call: number; ok: Record<string, unknown> }
  | { call: number; error: ErrorRecord }
  | { call: number; gate: GateNotice }
  | { event: RuntimeEvent }
  | { exit: { exitCode: number } }

/** From the client, as JSON. */
export type Message = ({ call: number } & Request) | { resize: { columns: number; rows: number } }
