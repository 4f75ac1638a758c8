import { describe, expect, it } from 'vitest'
import { digestOf } from './digest.ts'
import { type Index, mediaTypes } from './manifest.ts'
import { choosePlatform, nameOf, parsePlatform } from './platform.ts'

type Entry = string | undefined | 'index'
const anIndex = (...platforms: Entry[]): Index => ({
  kind: 'index',
  mediaType: mediaTypes.ociIndex,
  manifests: platforms.map((platform, at) => ({
    mediaType: platform === 'index' ? mediaTypes.ociIndex : mediaTypes.ociManifest,
    digest: digestOf(String(at)),
    size: 1,
    ...(platform && platform !== 'index' ? { platform: parsePlatform(platform) } : {}),
  })),
})
const choose = (index: Index, wanted: string) =>
  index.manifests.indexOf(choosePlatform(index, 'x', parsePlatform(wanted)))

describe('parsePlatform', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['arm64', 'linux/arm64'],
    ['linux/x86_64', 'linux/amd64'],
    ['aarch64', 'linux/arm64'],
    ['linux/armhf', 'linux/arm/v7'],
    ['Linux/ARM/v6', 'linux/arm/v6'],
    ['windows/amd64', 'windows/amd64'],
  ])('%s is %s', (text, name) => {
    expect(nameOf(parsePlatform(text))).toBe(name)
  })

  it.each(['', '/', 'linux/', 'linux/arm/v7/x', 'a b'])('%j: is refused', (text) => {
    expect(() => parsePlatform(text)).toThrow(/is not os\/architecture/)
  })
})

describe('choosePlatform', () => {
  it('the one for this machine, what every such processor runs', () => {
    const index = anIndex('windows/amd64', 'linux/amd64/v3', 'linux/amd64', 'linux/arm64/v8')
    expect(choose(index, 'linux/amd64')).toBe(2)
    expect(choose(index, 'linux/amd64/v4')).toBe(1)
    expect(choose(index, 'linux/arm64')).toBe(3)
  })

  it('of several variants: the highest that the processor can run', () => {
    const index = anIndex('linux/arm/v5', 'linux/arm/v7', 'linux/arm/v6')
    expect([choose(index, 'linux/arm/v7'), choose(index, 'linux/arm/v6'), choose(index, 'linux/arm')]).toEqual([
      1, 2, 1,
    ])
    expect(() => choose(anIndex('linux/arm/v7'), 'linux/arm/v6')).toThrow(/not for linux\/arm\/v6/)
  })

  it('a lone image without a platform, and an index within: are taken', () => {
    expect(choose(anIndex(undefined), 'linux/amd64')).toBe(0)
    expect(choose(anIndex('linux/s390x', 'index'), 'linux/amd64')).toBe(1)
  })

  it('none: the error names what there is', () => {
    const index = anIndex('linux/s390x', 'unknown/unknown')
    expect(() => choose(index, 'linux/amd64')).toThrow(/not for linux\/amd64, but for linux\/s390x, unknown\/unknown/)
    expect(() => choose(anIndex(undefined, undefined), 'linux/amd64')).toThrow(/but for nothing/)
  })
})
