import { describe, expect, it } from 'vitest'
import { mountAttributes as attribute, mountFlags } from '../linux/constants.ts'
import { idMapOf, mountOptions } from './mount-options.ts'

const of = (...options: string[]) => mountOptions({ destination: '/x', options })

describe('mountOptions', () => {
  it('the last word wins', () => {
    expect(of('ro', 'rw').attributes).toEqual({ set: 0, clear: attribute.MOUNT_ATTR_RDONLY })
    expect(of('noatime', 'strictatime').attributes.set).toBe(attribute.MOUNT_ATTR_STRICTATIME)
    expect(of('sync', 'lazytime', 'async').filesystemFlags).toEqual(['lazytime'])
  })

  it('recursive forms go to the whole tree; propagations one after the other', () => {
    const made = of('rbind', 'rro', 'rslave', 'shared')
    expect(made).toMatchObject({ bind: true, recursiveBind: true })
    expect(made.recursive.set).toBe(attribute.MOUNT_ATTR_RDONLY)
    expect(made.propagations).toEqual([
      { flag: mountFlags.MS_SLAVE, recursive: true },
      { flag: mountFlags.MS_SHARED, recursive: false },
    ])
  })

  it('what nobody knows is the filesystem’s', () => {
    expect(of('mode=755', 'size=64k', 'nosuid', 'defaults', 'rsize=1').data).toEqual([
      'mode=755',
      'size=64k',
      'rsize=1',
    ])
    expect(of('remount', 'tmpcopyup', 'copy-symlink', 'src-nofollow', 'dest-nofollow')).toMatchObject({
      remount: true,
      tmpcopyup: true,
      copySymlink: true,
      sourceNofollow: true,
      destinationNofollow: true,
      data: [],
    })
  })
})

describe('idMapOf', () => {
  const range = (containerID: number, hostID: number, size: number) => ({ containerID, hostID, size })
  const own = { uid: [range(0, 100_000, 1000)], gid: [range(0, 200_000, 1000)] }
  const map = (text: string, mount = {}) => idMapOf({ destination: '/x', ...mount }, { text }, own)

  it('the mount’s own ranges, crun’s words, the container’s', () => {
    const uidMappings = [range(0, 5, 1)]
    expect(map('', { uidMappings, gidMappings: uidMappings })).toEqual({ uid: uidMappings, gid: uidMappings })
    expect(map('uids=0-1-10#20-30-1;gids=@0-7-3')).toEqual({
      uid: [range(0, 1, 10), range(20, 30, 1)],
      gid: [range(0, 200_007, 3)],
    })
    expect(map('')).toEqual(own)
  })

  it('nothing to map with, half a map, nonsense', () => {
    expect(() => idMapOf({ destination: '/x' }, { text: '' }, undefined)).toThrow(/no mappings of its own/)
    expect(() => map('', { uidMappings: [range(0, 1, 1)] })).toThrow(/there both or not at all/)
    expect(() => map('uids=0-1')).toThrow(/is not uids=A-B-SIZE/)
    expect(() => map('uids=@0-5000-1;gids=0-0-1')).toThrow(/5000 is no id of the container/)
  })
})
