import { type Readable, Writable } from 'node:stream'

/** Size of a terminal in characters. */
export interface TerminalSize {
  columns: number
  rows: number
}

/** Sizes as they come; who begins to listen later gets the last one first. */
export interface SizeFeed {
  push(size: TerminalSize): void
  listen(callback: (columns: number, rows: number) => void): void
}

export function sizeFeed(): SizeFeed {
  const listeners: ((columns: number, rows: number) => void)[] = []
  let last: TerminalSize | undefined
  return {
    push(size) {
      last = size
      for (const listener of listeners) listener(size.columns, size.rows)
    },
    listen(callback) {
      listeners.push(callback)
      if (last) callback(last.columns, last.rows)
    },
  }
}

const maximumTextBytes = 4096

/** Reads `{"Width":80,"Height":24}` objects, one after the other, from a stream of text. Others are left out. */
export function readSizes(stream: Readable, feed: SizeFeed): void {
  let text = ''
  const read = new Writable({
    write(chunk, _, done) {
      text += String(chunk)
      for (let end = text.indexOf('}'); end >= 0; end = text.indexOf('}')) {
        const size = parseSize(text.slice(0, end + 1))
        if (size) feed.push(size)
        text = text.slice(end + 1)
      }
      text = text.slice(-maximumTextBytes)
      done()
    },
  })
  stream.pipe(read)
}

export function parseSize(text: string): TerminalSize | undefined {
  try {
    const { Width, Height } = JSON.parse(text) as { Width?: unknown; Height?: unknown }
    const good = (value: unknown): value is number =>
      Number.isInteger(value) && Number(value) > 0 && Number(value) < 65536
    return good(Width) && good(Height) ? { columns: Width, rows: Height } : undefined
  } catch {
    return undefined
  }
}
