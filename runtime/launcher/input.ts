import { closeSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { errnoOf } from '../base/errors.ts'

/** Where a client's input goes. `write` says whether there is room for more; `onRoom` is called when there is again. */
export interface Input {
  write(chunk: Buffer): boolean
  onRoom(tell: () => void): void
  /** End of input for a pipe; for a terminal, where only the program can end, nothing but letting go. */
  end(): void
}

/** The writing end of a pipe, taken over. */
export function pipeInput(fd: number): Input {
  const socket = new Socket({ fd, readable: false, writable: true })
  // EPIPE: the program does not read any more. Its output and exit say what there is to say.
  socket.on('error', () => socket.destroy())
  return {
    write: (chunk) => socket.destroyed || socket.write(chunk),
    onRoom: (tell) => socket.on('drain', tell),
    end: () => socket.end(),
  }
}

const retryMilliseconds = 10

/** The master of a terminal, whose descriptor stays with its owner. A terminal's input queue holds 4 KiB and can be full. */
export function terminalInput(master: number): Input {
  const queue: Buffer[] = []
  let tellRoom = () => {}
  let timer: NodeJS.Timeout | undefined
  const flush = () => {
    timer = undefined
    for (let chunk = queue.shift(); chunk; chunk = queue.shift()) {
      const written = writeNow(master, chunk)
      if (written === undefined) return queue.splice(0)
      if (written === chunk.length) continue
      queue.unshift(chunk.subarray(written))
      timer = setTimeout(flush, retryMilliseconds)
      return queue
    }
    return tellRoom()
  }
  return {
    write(chunk) {
      queue.push(Buffer.from(chunk))
      if (!timer) flush()
      return queue.length === 0
    },
    onRoom: (tell) => {
      tellRoom = tell
    },
    end: () => {
      if (timer) clearTimeout(timer)
      queue.length = 0
    },
  }
}

function writeNow(fd: number, chunk: Buffer): number | undefined {
  try {
    return writeSync(fd, chunk)
  } catch (error) {
    return errnoOf(error) === 'EAGAIN' ? 0 : undefined
  }
}

/** Closes what may be closed already. */
export function closeQuietly(fd: number | undefined): void {
  if (fd === undefined) return
  try {
    closeSync(fd)
  } catch (error) {
    if (errnoOf(error) !== 'EBADF') throw error
  }
}
