import { closeSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { makePipe, reapOne } from '../linux/process.ts'
import { type Report, readReports, startPlayer, stepError } from './play.ts'
import { SyscallTape } from './syscall-tape.ts'

async function play(tape: SyscallTape, inherit = new Map<number, number>()) {
  const { read, write } = makePipe()
  const reports: Report[] = []
  const pid = startPlayer(tape.encode(), write, { inherit })
  closeSync(write)
  await readReports(read, (report) => reports.push(report))
  let exit = reapOne()
  while (exit?.pid !== pid) {
    await new Promise((resolve) => setTimeout(resolve, 2))
    exit = reapOne()
  }
  return { reports, exit }
}

describe('startPlayer', () => {
  it('walks to the end and reports it', async () => {
    const tape = new SyscallTape()
    tape.call('getpid', [])
    expect(await play(tape)).toMatchObject({ reports: [{ index: 1, result: 0 }], exit: { exitCode: 0 } })
  })

  it('reports index and errno of the first call that fails', async () => {
    const tape = new SyscallTape()
    tape.call('getpid', [])
    tape.call('chdir', ['/no/such/folder'])
    const { reports, exit } = await play(tape)
    expect(reports).toEqual([{ index: 1, result: -2 }])
    expect(exit.exitCode).toBe(1)
    expect(stepError(tape, reports[0] as Report).message).toBe('chdir("/no/such/folder") failed: ENOENT (step 2 of 2)')
  })

  it('goes on after a tolerated error and skips what needed the result', async () => {
    const tape = new SyscallTape()
    const fd = tape.call('openat', [-100, '/no/such/file', 0, 0], { tolerate: [2] })
    tape.call('close', [fd])
    tape.call('close', [999], { policy: 'ignore' })
    expect((await play(tape)).reports).toEqual([{ index: 3, result: 0 }])
  })

  it('passes results on as arguments and stores them', async () => {
    const tape = new SyscallTape()
    const { read, write } = makePipe()
    const place = tape.struct(new Uint8Array(8), '<copy>')
    const copy = tape.call('fcntl', [5, 0, 77], { storeAt: place })
    tape.call('write', [copy, place, 4])
    const { reports } = await play(tape, new Map([[5, write]]))
    closeSync(write)
    expect(reports[0]?.result).toBe(0)
    const seen: Buffer[] = []
    const { Socket } = await import('node:net')
    for await (const chunk of new Socket({ fd: read, readable: true })) seen.push(chunk as Buffer)
    expect(Buffer.concat(seen).readUInt32LE()).toBe(77)
  })
})
