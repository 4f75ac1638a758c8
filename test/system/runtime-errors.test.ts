import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { hasCode } from '../../runtime/base/errors.ts'
import { aFixture, type Fixture, traces } from './runtime-fixture.ts'

type Change = Parameters<Fixture['spec']>[1]

/** What somebody reads whose container did not start. */
describe.skipIf(process.getuid?.() !== 0)('errors that help (needs root)', () => {
  let on: Fixture
  beforeAll(async () => {
    on = await aFixture('errors')
    const inside = (path: string) => join(on.rootfs, path)
    const script = (path: string, text: string, mode = 0o755) => writeFileSync(inside(path), text, { mode })
    script('bin/crlf', '#!/bin/sh\r\necho\r\n')
    script('bin/no-interpreter', '#!/no/such -x\n')
    script('bin/bare', 'echo no first line\n')
    script('bin/readable', '#!/bin/sh\n', 0o644)
    symlinkSync('/bin/busybox', inside('etc/sh'))
    script('bin/by-absolute', '#!/etc/sh\necho fine\n')
    mkdirSync(inside('closed'), { mode: 0o700 })
    script('closed/true', '#!/bin/sh\n')
    script('data/own', '#!/bin/sh\n', 0o700)
    // Programs of others, of ours with what it does not have.
    const busybox = readFileSync('/bin/busybox')
    writeFileSync(
      inside('bin/foreign'),
      changed(busybox, (head) => head.writeUInt16LE(243, 18)),
      { mode: 0o755 },
    )
    writeFileSync(inside('bin/dynamic'), aDynamicProgram('/lib/ld-nowhere.so.1'), { mode: 0o755 })
    mkdirSync(join(on.folder, 'volume'))
    writeFileSync(join(on.folder, 'volume/tool'), '#!/bin/sh\n', { mode: 0o755 })
    chmodSync(on.folder, 0o711)
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    expect(traces(on.mark)).toEqual([])
    expect(traces(`test-errors-${process.pid}`)).toEqual([])
  })

  async function failure(args: string[], change?: Change): Promise<{ message: string; code: string }> {
    try {
      await on.runtime.create({ id: 'bad', spec: on.spec(args, change) })
      await on.runtime.start('bad')
    } catch (error) {
      if (!(error instanceof Error)) throw error
      return { message: error.message, code: hasCode(error, 'EXEC_FAILED') ? 'EXEC_FAILED' : 'another' }
    } finally {
      await on.runtime.delete('bad', { force: true })
    }
    throw new Error('it did not fail')
  }

  const asUser: Change = ({ process: asked }) => Object.assign(asked, { user: { uid: 1000, gid: 1000 } })
  const volume =
    (...options: string[]): Change =>
    ({ mounts }) =>
      void mounts.push({ destination: '/vol', source: join(on.folder, 'volume'), options: ['bind', ...options] })

  it.each<[string, string[], string, Change?]>([
    ['not in PATH', ['nothing'], 'executable file not found in $PATH (ENOENT: no such file or directory)'],
    ['not there', ['/bin/nothing'], 'no such file in the image (ENOENT: no such file or directory)'],
    ['CR LF', ['crlf'], 'its first line ends with CR LF'],
    ['no interpreter', ['no-interpreter'], 'its interpreter /no/such does not exist in the image (ENOENT'],
    ['no loader', ['dynamic'], 'its loader /lib/ld-nowhere.so.1 does not exist in the image (ENOENT'],
    ['another machine', ['foreign'], 'it is built for another architecture (riscv, and this host is x86-64) (ENOEXEC'],
    ['neither ELF nor script', ['bare'], 'it is neither an ELF program nor a script with #! (ENOEXEC'],
    ['not executable', ['/bin/readable'], 'the file is not executable (EACCES: permission denied)'],
    ['a folder', ['/bin'], 'it is a folder (EACCES'],
    ['mounted noexec', ['/vol/tool'], 'it lies on /vol, which is mounted noexec (EACCES', volume('noexec')],
    ['a file of another user', ['/data/own'], 'user 1000:1000 may not run it (mode 0700 of 0:0) (EACCES', asUser],
    ['a folder of another user', ['/closed/true'], 'user 1000:1000 may not enter /closed (mode 0700 of 0:0)', asUser],
  ])('exec: %s', async (_, args, words, change) => {
    const wanted = process.arch === 'arm64' ? words.replace('x86-64', 'arm64') : words
    const { message, code } = await failure(args, change)
    expect(message).toContain(wanted)
    expect({ code, begins: message.startsWith(`exec ${JSON.stringify(args[0])}: `) }).toEqual({
      code: 'EXEC_FAILED',
      begins: true,
    })
  })

  it('exec: what is right is not blamed: absolute links, and volumes that may', async () => {
    expect(await on.run(['by-absolute'])).toEqual({ output: 'fine', exitCode: 0 })
    expect((await on.run(['/vol/tool'], volume())).exitCode).toBe(0)
  })

  it('a step of the birth: call, arguments, errno, which of how many, and the filesystem’s own words', async () => {
    const { message } = await failure(['true'], ({ mounts }) => {
      mounts.push({ destination: '/x', type: 'tmpfs', source: 'tmpfs', options: ['size=much'] })
    })
    expect(message).toMatch(/^fsconfig\(.*"size", "much", 0\) failed: EINVAL \(step \d+ of \d+\): .*size/)
  })

  it('a mount’s target with a name that no filesystem holds: the step that makes it, and why', async () => {
    const destination = `/data/${'x'.repeat(300)}`
    const { message } = await failure(['true'], ({ mounts }) => void mounts.push({ destination, type: 'tmpfs' }))
    expect(message).toMatch(/xxx.* failed: ENAMETOOLONG.* \(step \d+ of \d+\)/)
  })

  it('a memory limit in which nothing can begin', async () => {
    const { message } = await failure(['true'], ({ linux }) => {
      linux.resources = { memory: { limit: 8192, swap: 8192 } }
    })
    expect(message).toContain('linux.resources.memory.limit of 8192 bytes is likely to be too low')
  })

  it('mappings that cannot be are named', async () => {
    const { message } = await failure(['true'], ({ linux }) => {
      linux.namespaces?.push({ type: 'user' })
      const twice = [0, 5].map((containerID) => ({ containerID, hostID: 100_000 + containerID, size: 10 }))
      Object.assign(linux, { uidMappings: twice, gidMappings: twice })
    })
    expect(message).toContain('linux.uidMappings')
  })
})

/** A program that asks for `loader`: no more of it is read before that is missing. */
function aDynamicProgram(loader: string): Buffer {
  const file = Buffer.alloc(4096)
  file.write('\x7fELF\x02\x01\x01', 'latin1')
  const machine = process.arch === 'arm64' ? 183 : 62
  for (const [value, at] of [
    [2, 16],
    [machine, 18],
    [64, 52],
    [56, 54],
    [1, 56],
  ] as const)
    file.writeUInt16LE(value, at)
  file.writeUInt32LE(1, 20)
  file.writeBigUInt64LE(64n, 32)
  file.writeUInt32LE(3, 64)
  file.writeBigUInt64LE(512n, 72)
  for (const at of [96, 104]) file.writeBigUInt64LE(BigInt(loader.length + 1), at)
  file.write(`${loader}\0`, 512)
  return file
}

function changed(file: Buffer, change: (head: Buffer) => void): Buffer {
  const copy = Buffer.from(file)
  change(copy)
  return copy
}
