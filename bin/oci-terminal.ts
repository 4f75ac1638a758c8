import { closeSync, writeFileSync } from 'node:fs'
import { terminalInput } from '../runtime/launcher/input.ts'
import { Output } from '../runtime/launcher/output.ts'
import { descriptorOf, pidfdOpen, setNonblocking, setWindowSize } from '../runtime/linux/process.ts'
import { sendDescriptor } from '../runtime/linux/send-descriptor.ts'

/** Sends the terminal's master, which waits in process `pid`, to the engine that listens at `socket`. */
export function sendMaster(pid: number, descriptor: number, socket: string): void {
  const master = masterOf(pid, descriptor)
  try {
    sendDescriptor(socket, master, '/dev/ptmx')
  } finally {
    closeSync(master)
  }
}

export interface Relay {
  finish(): void
}

/** Our terminal, in raw mode, before the terminal of the container. */
export function relayTerminal(pid: number, descriptor: number): Relay {
  const master = masterOf(pid, descriptor)
  setNonblocking(master)
  const output = new Output(master, 'terminal', (chunk) => writeFileSync(1, chunk))
  const input = terminalInput(master)
  const resize = () => setWindowSize(master, process.stdout.columns ?? 80, process.stdout.rows ?? 24)
  if (process.stdin.isTTY) process.stdin.setRawMode(true)
  if (process.stdout.isTTY) {
    resize()
    process.stdout.on('resize', resize)
  }
  process.stdin.on('data', (chunk: Buffer) => input.write(chunk))
  return {
    finish() {
      output.drain()
      output.close()
      input.end()
      if (process.stdin.isTTY) process.stdin.setRawMode(false)
      process.stdin.pause()
    },
  }
}

function masterOf(pid: number, descriptor: number): number {
  const pidfd = pidfdOpen(pid)
  try {
    return descriptorOf(pidfd, descriptor)
  } finally {
    closeSync(pidfd)
  }
}
