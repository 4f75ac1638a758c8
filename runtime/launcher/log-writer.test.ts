import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { silentLog } from '../base/log.ts'
import { LogWriter, timestamp } from './log-writer.ts'

describe('LogWriter', () => {
  let folder: string
  const at = (name: string) => join(folder, name)
  const entries = (name: string) =>
    readFileSync(at(name), 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => line.slice(31))
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'coracle-log-'))
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  it('lines: whole ones F, pieces joined, the unfinished last one P', () => {
    const writer = new LogWriter({ path: at('deep/0.log') }, silentLog)
    writer.write('stdout', Buffer.from('one\ntw'))
    writer.write('stderr', Buffer.from('err\n'))
    writer.write('stdout', Buffer.from('o\n\nend'))
    writer.close()
    expect(entries('deep/0.log')).toEqual(['stdout F one', 'stderr F err', 'stdout F two', 'stdout F ', 'stdout P end'])
  })

  it('long lines: 16 KiB pieces tagged P, the rest F', () => {
    const writer = new LogWriter({ path: at('0.log') }, silentLog)
    writer.write('stdout', Buffer.from(`${'x'.repeat(40_000)}\n`))
    writer.close()
    expect(entries('0.log').map((line) => [line.slice(0, 8), line.length - 9])).toEqual([
      ['stdout P', 16384],
      ['stdout P', 16384],
      ['stdout F', 7232],
    ])
  })

  it('rotation: at most maxFiles, the newest without a number', () => {
    const writer = new LogWriter({ path: at('0.log'), maxBytes: 100, maxFiles: 3 }, silentLog)
    for (let line = 0; line < 20; line++) writer.write('stdout', Buffer.from(`line ${line}\n`))
    writer.close()
    expect(readdirSync(folder).sort()).toEqual(['0.log', '0.log.1', '0.log.2'])
    expect(entries('0.log').at(-1)).toBe('stdout F line 19')
  })

  it('a disk that does not take it: said once, never thrown', () => {
    const said: string[] = []
    const writer = new LogWriter({ path: '/proc/no/0.log' }, { ...silentLog, error: (message) => said.push(message) })
    writer.write('stdout', Buffer.from('a\n'))
    writer.write('stdout', Buffer.from('b\n'))
    expect(said).toHaveLength(1)
  })

  it('timestamp: RFC 3339 with nanoseconds, never backwards', () => {
    const times = Array.from({ length: 100 }, timestamp)
    expect(times[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$/)
    expect(times.toSorted()).toEqual(times)
  })

  it('timestamp: goes along when the machine’s clock is set', () => {
    const now = Date.now()
    const clock = vi.spyOn(Date, 'now').mockReturnValue(now + 3_600_000)
    const later = timestamp()
    clock.mockRestore()
    expect(Date.parse(later) - now).toBeGreaterThanOrEqual(3_599_980)
    expect(Math.abs(Date.parse(timestamp()) - Date.now())).toBeLessThan(20)
  })

  it('bytes of any kind come back as they are, however they are cut', () => {
    const bytes = Buffer.from(Array.from({ length: 60_000 }, (_, at) => (at * 7919) % 256))
    const writer = new LogWriter({ path: at('0.log') }, silentLog)
    for (let from = 0; from < bytes.length; from += 1021) writer.write('stdout', bytes.subarray(from, from + 1021))
    writer.close()
    const lines = readFileSync(at('0.log')).toString('latin1').split('\n').slice(0, -1)
    const text = lines.map((line) => line.slice(40) + (line.slice(38, 39) === 'F' ? '\n' : '')).join('')
    expect(Buffer.from(text, 'latin1').equals(bytes)).toBe(true)
  })
})
