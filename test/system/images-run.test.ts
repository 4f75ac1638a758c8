import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { copyBetween } from '../../images/index.ts'
import { anArchive, anImage } from '../fixtures/image.ts'
import { aWorkshop } from './images/store.ts'
import { aFixture } from './runtime-fixture.ts'

/** Images and runtime together: what is unpacked is what a container runs on. */
const test = it.skipIf(process.getuid?.() !== 0)

test('120 layers: a container runs on all of them; cp, diff and commit work while it lives', {
  timeout: 90_000,
}, async () => {
  const workshop = await aWorkshop()
  await using on = await aFixture('images-run')
  const busybox = { name: 'bin/busybox', content: readFileSync('/bin/busybox'), mode: 0o755 }
  const folders = ['bin/', 'proc/', 'dev/', 'sys/', 'tmp/'].map((name) => ({ name, mode: 0o755 }))
  const base = [...folders, busybox, { name: 'bin/sh', type: '2', link: 'busybox' }]
  const more = Array.from({ length: 119 }, (_, at) => [{ name: `tmp/layer-${at}`, content: String(at) }])
  const file = join(workshop.folder, 'many.tar')
  writeFileSync(file, anArchive(anImage({ layers: [base, ...more] }), 'many.test/x:1'))
  await workshop.images.load(file)
  const { overlay } = await workshop.images.prepare('many', 'many.test/x:1')
  expect(overlay.lower).toHaveLength(120)
  // Counted first: a shell may make the file that it sends output to before or after `ls` has looked.
  const script =
    'n=$(busybox ls /tmp | busybox wc -l); echo "$n" > /tmp/count; busybox rm /tmp/layer-7; busybox sleep 1000'
  const spec = on.spec(['/bin/sh', '-c', script], (made) => {
    made.root = { path: 'rootfs', readonly: false }
  })
  const log = { path: join(on.folder, 'many.log') }
  await on.runtime.create({ id: 'many', spec, rootfs: { overlay }, log })
  const { pid } = await on.runtime.start('many')
  const host = openSync('/', 'r')
  try {
    await expect
      .poll(() => workshop.images.diff('many'), { timeout: 10_000 })
      .toEqual([
        { kind: 'C', path: '/tmp' },
        { kind: 'A', path: '/tmp/count' },
        { kind: 'D', path: '/tmp/layer-7' },
      ])
    writeFileSync(join(workshop.folder, 'given'), 'given')
    const target = { root: host, path: join(workshop.folder, 'count'), shownAs: 'count' }
    const given = { root: host, path: join(workshop.folder, 'given'), shownAs: 'given' }
    await workshop.images.withRoot('many', pid, async (root) => {
      await copyBetween({ root, path: '/tmp/count', shownAs: 'many:/tmp/count' }, target)
      await copyBetween(given, { root, path: '/tmp/', shownAs: 'many:/tmp/' })
    })
    expect(readFileSync(target.path, 'utf8').trim()).toBe('119')
    expect(readFileSync(`/proc/${pid}/root/tmp/given`, 'utf8')).toBe('given')
    await workshop.images.commit('many', { ref: 'many.test/x:2' })
    expect((await workshop.images.prepare('made', 'many.test/x:2')).overlay.lower).toHaveLength(121)
  } finally {
    closeSync(host)
    await on.runtime.delete('many', { force: true })
    await workshop.close()
  }
})
