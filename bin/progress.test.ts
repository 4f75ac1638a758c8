import { describe, expect, it } from 'vitest'
import { lineText, progressBoard } from './progress.ts'

const digest = `sha256:${'0123456789ab'.padEnd(64, '0')}` as const
const text = (state: string, done: number, o = { width: 79, now: 2000 }) =>
  lineText(digest, { state, done, total: 95_000_000, since: 0 }, o)

describe('lineText', () => {
  it.each(['Downloading', 'Extracting', 'Pushing'])('%s: a bar, the bytes and the rate', (state) => {
    const line = text(state, 47_500_000)
    expect(line).toMatch(new RegExp(`^0123456789ab: ${state} \\[=+> +\\] {2}47\\.5MB/95MB {2}23\\.8MB/s$`))
    const [bar = ''] = /\[.*\]/.exec(line) ?? []
    expect(bar.indexOf('>') / bar.length).toBeCloseTo(0.5, 1)
    expect(line.length).toBeLessThanOrEqual(79)
  })

  it('what does not move has no bar', () => {
    expect(text('Pull complete', 95_000_000)).toBe('0123456789ab: Pull complete')
  })

  it.each([10, 30, 45])('never wider than %i columns', (width) => {
    expect(text('Downloading', 1, { width, now: 2000 }).length).toBeLessThanOrEqual(width)
  })
})

describe('progressBoard', () => {
  function aBoard(isTerminal = true) {
    let written = ''
    let time = 0
    const board = progressBoard({ isTerminal, columns: () => 80, write: (more) => (written += more), now: () => time })
    return {
      board,
      pass: (milliseconds: number) => (time += milliseconds),
      taken: () => {
        // Escape sequences as text.
        const taken = written.replaceAll('\x1b[2A', '<2A>').replaceAll('\x1b[2K', '<2K>')
        written = ''
        return taken
      },
    }
  }
  const other = `sha256:${'f'.repeat(64)}` as const
  const at = (received: number, state: 'downloading' | 'extracting' | 'complete', of: `sha256:${string}` = digest) => ({
    digest: of,
    received,
    total: 100,
    state,
  })

  it('a line for each blob, drawn over the last ones; at once for a new state, else not too often', () => {
    const { board, pass, taken } = aBoard()
    board.pulling(at(0, 'downloading'))
    board.pulling(at(0, 'downloading', other))
    expect(taken().split('\n')).toHaveLength(4)
    board.pulling(at(50, 'downloading'))
    expect(taken()).toBe('')
    pass(100)
    board.pulling(at(60, 'downloading'))
    expect(taken()).toMatch(/^<2A><2K>0123456789ab: Downloading .*60B\/100B\n<2K>ffffffffffff: .*\n$/)
    board.pulling(at(0, 'extracting'))
    expect(taken()).toMatch(/0123456789ab: Extracting \[>.*0B\/100B/)
    board.pulling(at(100, 'complete'))
    board.close()
    expect(taken()).toMatch(/0123456789ab: Pull complete\n/)
  })

  it('no terminal: nothing', () => {
    const { board, taken } = aBoard(false)
    board.pulling(at(0, 'downloading'))
    board.pushing({ digest, sent: 5, total: 10, state: 'sending' })
    board.close()
    expect(taken()).toBe('')
  })
})
