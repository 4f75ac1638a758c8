/** Progress of pulls, pushes and unpacking on a terminal, a line for each layer, as docker shows it. */
import type { PullProgress, PushProgress } from '../images/index.ts'
import { bytes } from './images-print.ts'

export interface Terminal {
  isTerminal: boolean
  columns(): number
  write(text: string): void
  /** Milliseconds. */
  now(): number
}

export interface ProgressBoard {
  pulling(progress: PullProgress): void
  pushing(progress: PushProgress): void
  /** Draws the last state. */
  close(): void
}

interface Line {
  state: string
  done: number
  total: number
  /** When it began, for the rate. */
  since: number
}

const everyMs = 80
const widestBar = 50

/** On anything but a terminal it says nothing. */
export function progressBoard(terminal: Terminal): ProgressBoard {
  const lines = new Map<string, Line>()
  let drawnLines = 0
  let drawnAt = Number.NEGATIVE_INFINITY
  const draw = () => {
    const width = Math.max(1, terminal.columns() - 1)
    const text = [...lines].map(
      ([digest, line]) => `\x1b[2K${lineText(digest, line, { width, now: terminal.now() })}\n`,
    )
    terminal.write(`${drawnLines > 0 ? `\x1b[${drawnLines}A` : ''}${text.join('')}`)
    drawnLines = lines.size
    drawnAt = terminal.now()
  }
  const note = (digest: string, state: string, { done, total }: { done: number; total: number }) => {
    if (!terminal.isTerminal) return
    const known = lines.get(digest)
    const since = known && known.state === state ? known.since : terminal.now()
    lines.set(digest, { state, done, total, since })
    if (known?.state !== state || terminal.now() - drawnAt >= everyMs) draw()
  }
  return {
    pulling: ({ digest, received, total, state }) => note(digest, pullWords[state], { done: received, total }),
    pushing: ({ digest, sent, total, state }) => note(digest, pushWords[state], { done: sent, total }),
    close() {
      if (terminal.isTerminal && lines.size > 0) draw()
    },
  }
}

/** The board of a command: what it prints as its result goes to standard output. */
export function stderrBoard({ quiet }: { quiet?: boolean }): ProgressBoard {
  const { stderr } = process
  return progressBoard({
    isTerminal: stderr.isTTY === true && !quiet,
    columns: () => stderr.columns || 80,
    write: (text) => stderr.write(text),
    now: () => performance.now(),
  })
}

const pullWords = {
  waiting: 'Waiting',
  downloading: 'Downloading',
  there: 'Already exists',
  downloaded: 'Download complete',
  extracting: 'Extracting',
  complete: 'Pull complete',
} as const satisfies Record<PullProgress['state'], string>

const pushWords = {
  sending: 'Pushing',
  there: 'Layer already exists',
  mounted: 'Mounted',
  sent: 'Pushed',
} as const satisfies Record<PushProgress['state'], string>

/** `4f4fb700ef54: Downloading [=====>     ]  12MB/95MB  31MB/s`, cut to the width that there is. */
export function lineText(digest: string, line: Line, o: { width: number; now: number }): string {
  const head = `${digest.replace(/^sha256:/, '').slice(0, 12)}: ${line.state}`
  const isMoving = ['Downloading', 'Extracting', 'Pushing'].includes(line.state)
  if (!isMoving || line.total === 0) return head.slice(0, o.width)
  const seconds = (o.now - line.since) / 1000
  const rate = seconds >= 0.5 ? `  ${bytes(Math.round(line.done / seconds))}/s` : ''
  const counts = `${bytes(line.done)}/${bytes(line.total)}`
  const room = Math.min(widestBar, o.width - head.length - counts.length - rate.length - 5)
  const bar = room >= 5 ? ` ${barOf(line.done / line.total, room)}` : ''
  return `${head}${bar}  ${counts}${rate}`.slice(0, o.width)
}

function barOf(part: number, room: number): string {
  const filled = Math.min(room, Math.floor(Math.min(1, part) * room))
  const arrow = filled < room ? '>' : ''
  return `[${'='.repeat(filled)}${arrow}${' '.repeat(room - filled - arrow.length)}]`
}
