import { describe, expect, it } from 'vitest'
import { checkMappings, hostIdOf, mapText, parseMap } from './id-mappings.ts'

const range = (containerID: number, hostID: number, size: number) => ({ containerID, hostID, size })

describe('id mappings', () => {
  it('checkMappings: what the kernel would call EINVAL is named', () => {
    const check =
      (...mappings: ReturnType<typeof range>[]) =>
      () =>
        checkMappings('m', mappings)
    expect(check(range(0, 1000, 1), range(1, 5, 10))).not.toThrow()
    expect(check(range(0, 1000, 0))).toThrow(/m\[0\]\.size: 0 maps no id/)
    expect(check(range(0, 1000, 5), range(4, 9000, 1))).toThrow(/m\[1\]\.containerID: overlaps m\[0\]/)
    expect(check(range(0, 1000, 5), range(9, 1004, 1))).toThrow(/m\[1\]\.hostID: overlaps m\[0\]/)
    expect(check(range(0, 2 ** 32 - 5, 5))).toThrow(/beyond the last id/)
    expect(check(...Array.from({ length: 341 }, (_, at) => range(at, at, 1)))).toThrow(/341 ranges/)
  })

  it('hostIdOf: inside, at the edges, outside', () => {
    const maps = [range(0, 1000, 1), range(10, 5000, 10)]
    expect([0, 1, 10, 19, 20].map((id) => hostIdOf(maps, id))).toEqual([1000, undefined, 5000, 5009, undefined])
  })

  it('mapText and parseMap are each other’s inverse', () => {
    const maps = [range(0, 1000, 1), range(10, 5000, 10)]
    expect(parseMap(mapText(maps))).toEqual(maps)
    expect(parseMap('         0     100000      65536\n')).toEqual([range(0, 100_000, 65_536)])
  })
})
