import { describe, expect, it } from 'vitest'
import { type Attachment, checkAttachment } from './attachment.ts'

const anAttachment = (more: Partial<Attachment> = {}): Attachment => ({
  containerId: 'c1',
  netns: '/proc/7/ns/net',
  ifname: 'eth0',
  ...more,
})

describe('checkAttachment', () => {
  it('accepts what CNI allows', () => {
    expect(() => checkAttachment(anAttachment({ args: { K8S_POD_NAME: 'web=1' } }), 'netns')).not.toThrow()
    expect(() => checkAttachment(anAttachment({ netns: '' }), 'no netns')).not.toThrow()
  })

  it.each([
    { containerId: '' },
    { containerId: '../x' },
    { containerId: '-x' },
    { ifname: '' },
    { ifname: 'a/b' },
    { ifname: '..' },
    { ifname: 'sixteen-letters-' },
    { netns: '' },
    { netns: 'relative' },
    { args: { 'a;b': 'c' } },
    { args: { a: 'b;CNI=x' } },
  ])('%j: is refused', (more) => {
    expect(() => checkAttachment(anAttachment(more), 'netns')).toThrow(
      expect.objectContaining({ code: 'CNI_INVALID_ENVIRONMENT' }),
    )
  })
})
