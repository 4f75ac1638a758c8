import { closeSync, constants, openSync, writeSync } from 'node:fs'
import type { EarlyGate } from '../birth/gate.ts'
import { pidfdOpen, pidfdSignal } from '../linux/process.ts'

/** A birth waits at an early gate. */
export interface GateNotice {
  name: EarlyGate['name']
  pid: number
  /** What the tape reports there: for `seccomp-agent` the listener's descriptor in that process. */
  result: number
}

/** Does what belongs to a gate; rejects if the birth shall not go on. */
export type AtGate = (gate: GateNotice) => Promise<void>

/** One byte into the gate FIFO of a container. */
export function openGate(fifo: string): void {
  const gate = openSync(fifo, constants.O_WRONLY | constants.O_NONBLOCK)
  try {
    writeSync(gate, 'g')
  } finally {
    closeSync(gate)
  }
}

/** Performs an early gate and opens it. When that fails the half-born process is killed, and the error is returned. */
export async function passEarlyGate(gate: GateNotice, how: { atGate: AtGate; fifo: string }): Promise<unknown> {
  // Held for as long as hooks take: by then the pid alone could be another process'.
  const pidfd = pidfdOpen(gate.pid)
  try {
    await how.atGate(gate)
    openGate(how.fifo)
    return undefined
  } catch (error) {
    pidfdSignal(pidfd, 9)
    return error
  } finally {
    closeSync(pidfd)
  }
}
