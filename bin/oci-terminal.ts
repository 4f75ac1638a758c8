import { closeSync, writeFileSync } from 'node:fs'
import { terminalInput } from '../runtime/launcher/input.ts'
import { Output } from '../runtime/launcher/output.ts'
import { sendDescriptors } from '../runtime/linux/pass-descriptors.ts'
import { descriptorIn, keepNewlines, setNonblocking, setWindowSize } from '../runtime/linux/process.ts'

/** Sends the terminal's master, which waits in process `pid`, to the engine that listens at `socket`. */
export async function sendMaster(pid: number, descriptor: number, socket: string): Promise<void> {
  const master = descriptorIn(pid, descriptor)
  try {
    await sendDescriptors(socket, Buffer.from('/dev/ptmx'), [master])
  } finally {
    closeSync(master)
  }
}

export interface Relay {
  finish(): void
}

/** Our terminal, in raw mode, before the terminal of the container. */
export function relayTerminal(pid: number, descriptor: number): Relay {
  const master = descriptorIn(pid, descriptor)
  setNonblocking(master)
  // Ours adds the carriage returns, where it is one; a file or a pipe wants none.
  keepNewlines(master)
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
