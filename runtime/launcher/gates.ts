import { closeSync, constants, openSync, writeSync } from 'node:fs'
import type { GateName } from '../birth/gate.ts'
import { pidfdOpen, pidfdSignal } from '../linux/process.ts'

/** A gate before the last one: see birth/gate.ts. */
export interface EarlyGate {
  name: Exclude<GateName, 'created'>
  /** The entry of the tape that reports it. */
  at: number
}

/** Does what belongs to a gate at which the process `pid` waits; rejects if the birth shall not go on. */
export type AtGate = (name: EarlyGate['name'], pid: number) => Promise<void>

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
export async function passEarlyGate(
  pid: number,
  gate: EarlyGate,
  how: { atGate: AtGate; fifo: string },
): Promise<unknown> {
  // Held for as long as hooks take: by then the pid alone could be another process'.
  const pidfd = pidfdOpen(pid)
  try {
    await how.atGate(gate.name, pid)
    openGate(how.fifo)
    return undefined
  } catch (error) {
    pidfdSignal(pidfd, 9)
    return error
  } finally {
    closeSync(pidfd)
  }
}
