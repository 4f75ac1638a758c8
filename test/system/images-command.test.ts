import { execFile, execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openImages } from '../../images/index.ts'
import { silentLog } from '../../runtime/base/log.ts'
import { anArchive, anImage } from '../fixtures/image.ts'
import { aTar } from '../fixtures/tar.ts'
import { aRegistry, type Registry } from './images/registry.ts'

/** `coracle images …` as people type it, without a node; columns as Debian's podman has them. */
const has = (program: string) => existsSync(`/usr/bin/${program}`)
const isRoot = process.getuid?.() === 0
const test = it.skipIf(!isRoot || !has('docker-registry') || !has('podman') || !has('script'))
const program = join(import.meta.dirname, '../../bin/coracle')
const name = 'example.test/team/app:1.0'
const image = anImage({
  layers: [
    [
      { name: 'etc/', mode: 0o755 },
      { name: 'etc/kept', content: 'kept' },
      { name: 'etc/gone', content: 'gone' },
    ],
    // So much that it takes a moment to be sent and unpacked.
    Array.from({ length: 60 }, (_, at) => ({ name: `data/${at}`, content: randomBytes(500_000) })),
  ],
  config: { Cmd: ['x'] },
})

let folder: string
let registry: Registry
beforeAll(async () => {
  if (!isRoot) return
  folder = mkdtempSync(join(tmpdir(), 'coracle-command-'))
  writeFileSync(join(folder, 'app.tar'), anArchive(image, name))
  registry = await aRegistry()
  await coracle('load', '-q', '-i', join(folder, 'app.tar'))
})
afterAll(async () => {
  if (!isRoot) return
  await registry.close()
  rmSync(folder, { recursive: true })
})

/** The lines that a command prints. */
async function coracle(verb: string, ...args: string[]): Promise<string[]> {
  const all = ['images', verb, '--data-dir', join(folder, 'data'), ...args]
  const { stdout } = await promisify(execFile)(program, all, { timeout: 60_000, maxBuffer: 1 << 26 })
  return stdout.trimEnd().split('\n')
}

/** The same on a terminal of 100 columns: all that it shows. */
async function onTerminal(verb: string, ...args: string[]): Promise<string> {
  const command = [program, 'images', verb, '--data-dir', join(folder, 'data'), ...args].join(' ')
  const { stdout } = await promisify(execFile)('script', ['-qec', `stty cols 100; ${command}`, '/dev/null'], {
    timeout: 60_000,
    maxBuffer: 1 << 26,
  })
  return stdout
}

async function withStore<Result>(act: (images: Awaited<ReturnType<typeof openImages>>) => Promise<Result>) {
  const images = await openImages({ root: join(folder, 'data/images'), log: silentLog })
  return act(images).finally(() => images.close())
}

/** The titles of a table of podman's. */
function podman(...args: string[]): string[] {
  const place = ['--root', join(folder, 'podman'), '--runroot', join(folder, 'podman-run'), '--storage-driver', 'vfs']
  const [head = ''] = execFileSync('unshare', ['-m', '--propagation', 'private', 'podman', ...place, ...args], {
    encoding: 'utf8',
    timeout: 60_000,
    stdio: ['ignore', 'pipe', 'ignore'],
  }).split('\n')
  return titlesIn(head)
}
const titlesIn = (line = '') => line.trim().split(/\s{2,}/)

describe('coracle images', () => {
  test('ls, history and df have the columns of podman', async () => {
    podman('load', '-q', '-i', join(folder, 'app.tar'))
    expect(titlesIn((await coracle('ls'))[0])).toEqual(podman('images'))
    // Docker says IMAGE where podman says ID.
    expect(titlesIn((await coracle('history', name))[0])).toEqual(['IMAGE', ...podman('history', name).slice(1)])
    expect(titlesIn((await coracle('df'))[0])).toEqual(podman('system', 'df'))
    expect((await coracle('ls', name))[1]).toMatch(/^example\.test\/team\/app\s+1\.0\s+[0-9a-f]{12}\s+N\/A\s+30MB$/)
    expect(await coracle('ls', '-q', '--no-trunc')).toEqual([image.configDigest])
    expect((await coracle('df', '-v')).join('\n')).toMatch(/SHARED SIZE.*UNIQUE SIZE/)
  })

  test('inspect, tag, rm, prune: by name and by the beginning of an id', async () => {
    const id = image.configDigest.slice(7, 19)
    const [shown] = JSON.parse((await coracle('inspect', id)).join('')) as Record<string, unknown>[]
    expect(shown).toMatchObject({ Id: image.configDigest, RepoTags: [name], Os: 'linux', Config: { Cmd: ['x'] } })
    await coracle('tag', id, 'second:2')
    expect(await coracle('rm', 'second:2')).toEqual(['Untagged: docker.io/library/second:2'])
    await expect(coracle('rm', 'second:2')).rejects.toThrow(/IMAGE_NOT_FOUND|does not have it/)
    expect(await coracle('prune')).toEqual(['Total reclaimed space: 0B'])
  })

  test('diff, cp, commit: the files of a container that has no process', async () => {
    const { overlay } = await withStore((images) => images.prepare('box', name))
    writeFileSync(join(overlay.upper, 'new'), 'new')
    expect(await coracle('diff', 'box')).toEqual(['A /new'])
    await coracle('cp', 'box:/etc/kept', join(folder, 'copied'))
    expect(readFileSync(join(folder, 'copied'), 'utf8')).toBe('kept')
    await coracle('cp', join(folder, 'copied'), 'box:/etc/second')
    expect(await coracle('diff', 'box')).toEqual(['C /etc', 'A /etc/second', 'A /new'])
    const [id] = await coracle('commit', 'box', 'made.test/x:1', '-m', 'said', '-c', 'CMD ["y"]')
    expect(await coracle('ls', '-q', '--no-trunc', 'made.test/x')).toEqual([id])
    expect((await coracle('history', 'made.test/x:1'))[1]).toMatch(/said$/)
    await withStore((images) => images.discard('box'))
    expect(await coracle('rm', 'made.test/x:1')).toEqual(['Untagged: made.test/x:1', `Deleted: ${id}`])
  })

  test('save, load, import: through files and through pipes', async () => {
    await coracle('save', '-o', join(folder, 'saved.tar'), name)
    expect(execFileSync('tar', ['tf', join(folder, 'saved.tar')], { encoding: 'utf8' })).toContain('manifest.json')
    const both = `"$0" images save --data-dir "$1/data" ${name} | "$0" images load --data-dir "$1/other"`
    execFileSync('sh', ['-ec', both, program, folder], { timeout: 60_000 })
    const listed = execFileSync(program, ['images', 'ls', '-q', '--no-trunc', '--data-dir', join(folder, 'other')])
    expect(listed.toString().trim()).toBe(image.configDigest)
    writeFileSync(join(folder, 'root.tar'), aTar([{ name: 'f', content: 'x' }]))
    const [id] = await coracle('import', join(folder, 'root.tar'), 'imported:1', '-c', 'CMD ["f"]')
    expect(await coracle('rm', 'imported:1')).toEqual(['Untagged: docker.io/library/imported:1', `Deleted: ${id}`])
  })

  test('pull, push and load: bars on a terminal, none elsewhere', async () => {
    const ref = `${registry.host}/team/app:1`
    await coracle('tag', name, ref)
    expect(await onTerminal('push', ref)).toMatch(/[0-9a-f]{12}: Pushing \[=*>? *\] {2}\S+\/30MB[\s\S]*Pushed/)
    await coracle('rm', ref)
    await coracle('rm', name)
    const pulled = await onTerminal('pull', ref)
    expect(pulled).toMatch(/[0-9a-f]{12}: Downloading \[=*>? *\] {2}\S+\/30MB/)
    expect(pulled).toMatch(/[0-9a-f]{12}: Extracting \[=*>? *\] {2}\S+\/30MB/)
    expect(pulled).toMatch(/: Pull complete[\s\S]*Digest: sha256:/)
    expect(await coracle('pull', ref)).toEqual([`Digest: ${image.manifestDigest}`, ref])
    await coracle('rm', ref, '--force')
    expect(await onTerminal('load', join(folder, 'app.tar'))).toMatch(/: Extracting \[=*>? *\] {2}\S+\/30MB/)
  })
})
