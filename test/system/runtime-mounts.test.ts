import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { aFixture, type Fixture, finish, traces } from './runtime-fixture.ts'

describe.skipIf(process.getuid?.() !== 0)('mounts in a running container (needs root)', () => {
  let on: Fixture
  let shared: string
  beforeAll(async () => {
    on = await aFixture('mounts')
    shared = join(on.folder, 'shared')
    mkdirSync(shared)
    writeFileSync(join(shared, 'file'), 'from the host\n')
  })
  afterAll(async () => {
    await on[Symbol.asyncDispose]()
    expect(traces('mounts-')).toEqual([])
  })

  const started = async (id: string, change: Parameters<Fixture['spec']>[1] = () => {}) => {
    const spec = on.spec(['sleep', '600'], (one) => {
      one.root.readonly = false
      change(one)
    })
    await on.runtime.create({ id, spec })
    await on.runtime.start(id)
  }
  const say = async (id: string, script: string) => {
    const { stdout, stderr, exitCode } = await finish(await on.runtime.exec(id, { args: ['sh', '-c', script] }))
    return { text: stdout + stderr, exitCode }
  }

  it('a folder and a file, read-only and not; the host sees nothing of it', async () => {
    await started('a')
    const before = readFileSync('/proc/self/mountinfo', 'utf8')
    await on.runtime.addMount('a', { destination: '/mnt/deep', source: shared, options: ['rbind', 'ro'] })
    expect(await say('a', 'cat /mnt/deep/file')).toEqual({ text: 'from the host\n', exitCode: 0 })
    expect((await say('a', 'touch /mnt/deep/new')).text).toMatch(/Read-only/)
    await on.runtime.addMount('a', { destination: '/etc/one', source: join(shared, 'file'), options: ['bind'] })
    expect((await say('a', 'echo changed > /etc/one')).exitCode).toBe(0)
    expect(readFileSync(join(shared, 'file'), 'utf8')).toBe('changed\n')
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).toBe(before)
    await on.runtime.removeMount('a', '/etc/one/')
    await on.runtime.removeMount('a', '/mnt/deep')
    expect((await say('a', 'cat /etc/one; ls /mnt/deep')).text).toBe('')
    await on.runtime.delete('a', { force: true })
  })

  it('a new filesystem, twice at one place; the last goes first', async () => {
    await started('b')
    const tmpfs = { destination: '/cache', type: 'tmpfs', source: 'tmpfs', options: ['size=1m', 'nosuid'] }
    await on.runtime.addMount('b', tmpfs)
    await say('b', 'echo first > /cache/first')
    await on.runtime.addMount('b', tmpfs)
    expect((await say('b', 'ls /cache; grep -c " /cache " /proc/mounts')).text).toBe('2\n')
    await on.runtime.removeMount('b', '/cache')
    expect((await say('b', 'ls /cache')).text).toBe('first\n')
    await on.runtime.addMount('b', { destination: '/procfs', type: 'proc', source: 'proc' })
    // The container's processes, not the host's: sleep, and what we look with.
    expect((await say('b', 'ls /procfs | grep -c "^[0-9]*$"')).text).toMatch(/^[2-5]\n$/)
    await on.runtime.delete('b', { force: true })
  })

  it('inside a user namespace, where nobody could reach the source', async () => {
    const mapping = [{ containerID: 0, hostID: 200_000, size: 65536 }]
    const secret = join(on.folder, 'secret')
    mkdirSync(secret, { mode: 0o700 })
    mkdirSync(join(secret, 'volume'), { mode: 0o755 })
    writeFileSync(join(secret, 'volume/file'), 'reached\n')
    await started('c', (spec) => {
      spec.linux.namespaces = [...(spec.linux.namespaces ?? []), { type: 'user' }]
      Object.assign(spec.linux, { uidMappings: mapping, gidMappings: mapping })
      spec.root.readonly = true
    })
    await on.runtime.addMount('c', { destination: '/data', source: join(secret, 'volume'), options: ['rbind', 'ro'] })
    expect((await say('c', 'cat /data/file')).text).toBe('reached\n')
    await on.runtime.removeMount('c', '/data')
    expect((await say('c', 'ls /data')).text).toBe('')
    await on.runtime.delete('c', { force: true })
  })

  it('a link of the image leads nowhere but into the container', async () => {
    await started('d')
    symlinkSync('/', join(on.rootfs, 'up'))
    symlinkSync(shared, join(on.rootfs, 'data/out'))
    await on.runtime.addMount('d', { destination: '/up/tmp/here', type: 'tmpfs', source: 'tmpfs' })
    expect((await say('d', 'grep -c " /tmp/here " /proc/mounts')).text).toBe('1\n')
    expect(existsSync('/tmp/here')).toBe(false)
    // The link's target is a path of the container, where there is no such folder.
    await expect(
      on.runtime.addMount('d', { destination: '/data/out/in', type: 'tmpfs', source: 'tmpfs' }),
    ).rejects.toThrow(/openat2.*ENOENT/)
    expect(readdirSync(shared)).toEqual(['file'])
    for (const link of ['up', 'data/out']) rmSync(join(on.rootfs, link))
    await on.runtime.delete('d', { force: true })
  })

  it('what cannot be is refused: births’ mounts, places outside, sources that are not there, the dead', async () => {
    await started('e')
    const add = (mount: object) => on.runtime.addMount('e', mount as never)
    await expect(on.runtime.removeMount('e', '/proc/kcore')).rejects.toThrow(/nothing has been mounted there since/)
    await expect(on.runtime.removeMount('e', '/proc')).rejects.toThrow(/nothing has been mounted there since/)
    await expect(add({ destination: '/../x', type: 'tmpfs' })).rejects.toThrow(/no place below the root/)
    await expect(add({ destination: '/', type: 'tmpfs' })).rejects.toThrow(/no place below the root/)
    await expect(add({ destination: '/x', source: '/no/such', options: ['bind'] })).rejects.toThrow(/does not exist/)
    await expect(add({ destination: '/x', type: 'nofs' })).rejects.toThrow(/fsopen\("nofs".*ENODEV/)
    await on.runtime.kill('e', 'KILL')
    await on.runtime.wait('e')
    await expect(add({ destination: '/x', type: 'tmpfs' })).rejects.toThrow(/stopped/)
    await on.runtime.delete('e')
  })
})
