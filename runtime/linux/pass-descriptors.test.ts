import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { descriptorInbox, sendDescriptors } from './pass-descriptors.ts'

describe('sendDescriptors', () => {
  it('arrives as the same open file; a socket that nobody listens on is an error', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'coracle-send-'))
    writeFileSync(join(folder, 'file'), 'the very file')
    const fd = openSync(join(folder, 'file'), 'r')
    const inbox = descriptorInbox(join(folder, 'socket'))
    await sendDescriptors(join(folder, 'socket'), Buffer.from('/dev/ptmx'), [fd])
    closeSync(fd)
    const received = await inbox.receive(5000)
    expect(readFileSync(received, 'utf8')).toBe('the very file')
    closeSync(received)
    inbox.close()
    const long = join(folder, 'a'.repeat(100))
    mkdirSync(long)
    await expect(sendDescriptors(join(long, 'none'), Buffer.from('x'), [0])).rejects.toThrow('ENOENT')
    rmSync(folder, { recursive: true })
  })
})
