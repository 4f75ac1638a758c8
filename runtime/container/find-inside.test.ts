import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { defaultSpec } from '../spec/default-spec.ts'
import type { OciMount } from '../spec/types.ts'
import { findInside } from './find-inside.ts'

describe('findInside', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'coracle-inside-'))
    for (const path of ['rootfs/bin', 'rootfs/etc', 'volume/deep', 'upper/bin'])
      mkdirSync(join(folder, path), { recursive: true })
    for (const path of ['rootfs/bin/busybox', 'volume/tool', 'volume/deep/tool', 'upper/bin/new'])
      writeFileSync(join(folder, path), '')
  })
  afterEach(() => rmSync(folder, { recursive: true }))

  const find = (path: string, mounts: OciMount[] = []) => {
    const spec = { ...defaultSpec(), root: { path: 'rootfs' }, mounts }
    const found = findInside({ spec, bundle: folder, rootfs: undefined }, path)
    return found && [found.path, found.file.slice(folder.length + 1)]
  }

  it('links are the container’s own: absolute ones begin at its root, and .. stays inside', () => {
    symlinkSync('/bin/busybox', join(folder, 'rootfs/bin/sh'))
    symlinkSync('../../../../bin', join(folder, 'rootfs/etc/up'))
    const busybox = ['/bin/busybox', 'rootfs/bin/busybox']
    expect(find('/bin/sh')).toEqual(busybox)
    expect(find('/etc/up/sh')).toEqual(busybox)
    expect(find('/../../bin/./sh')).toEqual(busybox)
    expect(find('/bin/none')).toBeUndefined()
    expect(find('/bin/busybox/below')).toBeUndefined()
  })

  it('links in a circle lead nowhere', () => {
    symlinkSync('two', join(folder, 'rootfs/bin/one'))
    symlinkSync('one', join(folder, 'rootfs/bin/two'))
    expect(find('/bin/one')).toBeUndefined()
  })

  it('mounts: the source of a bind, the deepest and the last of them; nothing of other filesystems', () => {
    const bind = (destination: string, source: string): OciMount => ({ destination, source, options: ['rbind'] })
    const volume = bind('/data/', 'volume')
    expect(find('/data/tool', [volume])).toEqual(['/data/tool', 'volume/tool'])
    expect(find('/data/tool', [volume, bind('/data', join(folder, 'volume/deep'))])?.[1]).toBe('volume/deep/tool')
    expect(find('/data/in/tool', [bind('/data/in', 'volume/deep'), volume])?.[1]).toBe('volume/deep/tool')
    expect(find('/data/tool', [volume, { destination: '/data', type: 'tmpfs' }])).toBeUndefined()
    expect(find('/data2/tool', [volume])).toBeUndefined()
  })

  it('layers: the upper one first', () => {
    const overlay = { upper: join(folder, 'upper'), lower: [join(folder, 'rootfs')], work: join(folder, 'work') }
    const inLayers = (path: string) =>
      findInside({ spec: defaultSpec(), bundle: undefined, rootfs: { overlay } }, path)?.file.slice(folder.length + 1)
    expect([inLayers('/bin/new'), inLayers('/bin/busybox')]).toEqual(['upper/bin/new', 'rootfs/bin/busybox'])
  })
})
