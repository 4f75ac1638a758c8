import { describe, expect, it } from 'vitest'
import { mountAttributes as attribute, mountFlags } from '../linux/constants.ts'
import { mountOptions } from './mount-options.ts'

const of = (...options: string[]) => mountOptions({ destination: '/x', options })

describe('mountOptions', () => {
  it('the last word wins', () => {
    expect(of('ro', 'rw').attributes).toEqual({ set: 0, clear: attribute.MOUNT_ATTR_RDONLY })
    expect(of('noatime', 'strictatime').attributes.set).toBe(attribute.MOUNT_ATTR_STRICTATIME)
  })

  it('recursive forms go to the whole tree, propagation aside', () => {
    const made = of('rbind', 'rro', 'rslave')
    expect(made).toMatchObject({ bind: true, recursiveBind: true, recursivePropagation: true })
    expect(made.recursive.set).toBe(attribute.MOUNT_ATTR_RDONLY)
    expect(made.propagation).toBe(mountFlags.MS_SLAVE)
    expect(of('bind', 'private').recursivePropagation).toBe(false)
  })

  it('what is not ours is the filesystem’s; what is known and not done is refused', () => {
    expect(of('mode=755', 'size=64k', 'nosuid', 'defaults').data).toEqual(['mode=755', 'size=64k'])
    for (const option of ['idmap', 'ridmap', 'tmpcopyup', 'remount']) expect(() => of(option)).toThrow(/not supported/)
  })
})
