import { describe, expect, it } from 'vitest'
import type { ImageRecord } from '../images/index.ts'
import { ago, bytes, diskTable, historyTable, imageRows, imageTable, parseFilter } from './images-print.ts'

const now = Date.parse('2026-03-01T00:00:00Z')
const id = `sha256:${'0123456789ab'.padEnd(64, '0')}` as const
const image = (references: string[], more: Partial<ImageRecord> = {}): ImageRecord => ({
  id,
  references,
  digest: id,
  size: 1_234_567,
  config: {},
  created: '2026-02-27T00:00:00Z',
  platform: { os: 'linux', architecture: 'amd64' },
  diffIds: [],
  ...more,
})
const rowsOf = (records: ImageRecord[], ...filters: string[]) =>
  imageRows(records, { filters: filters.map(parseFilter), now, trunc: true })

describe('images-print', () => {
  it('imageTable: one line a name, names with digests left out, nameless ones shown', () => {
    const rows = rowsOf([image(['a.test/b:1', 'a.test/b@sha256:1', 'c.test:5000/d:2']), image([])])
    expect(imageTable(rows, { digests: false })).toBe(
      [
        'REPOSITORY      TAG      IMAGE ID       CREATED      SIZE',
        'a.test/b        1        0123456789ab   2 days ago   1.23MB',
        'c.test:5000/d   2        0123456789ab   2 days ago   1.23MB',
        '<none>          <none>   0123456789ab   2 days ago   1.23MB',
      ].join('\n'),
    )
  })
  it.each([
    ['dangling=true', ['<none>']],
    ['dangling=false', ['a.test/b', 'docker.io/library/redis']],
    ['label=tier', ['a.test/b']],
    ['label=tier=front', ['a.test/b']],
    ['label=tier=back', []],
    ['reference=redis', ['docker.io/library/redis']],
    ['reference=red*:7', ['docker.io/library/redis']],
    ['reference=a.test/*', ['a.test/b']],
    ['before=docker.io/library/redis:7', ['a.test/b', '<none>']],
    ['since=a.test/b:1', ['docker.io/library/redis']],
  ])('imageRows: %s', (filter, expected) => {
    const labelled = image(['a.test/b:1'], { config: { Labels: { tier: 'front' } } })
    const newer = image(['docker.io/library/redis:7'], { created: '2026-02-28T00:00:00Z' })
    const found = rowsOf([labelled, newer, image([])], filter).map((row) => row.Repository)
    expect(found.toSorted()).toEqual(expected.toSorted())
  })
  it.each(['dangling=x', 'size=1', 'label'])('parseFilter: %s is refused', (text) => {
    expect(() => parseFilter(text)).toThrow(expect.objectContaining({ code: 'BAD_FLAG' }))
  })
  it('historyTable: the newest step carries the id', () => {
    const steps = [
      { createdBy: 'CMD  ["x"]', emptyLayer: true, size: 0, comment: 'last' },
      { createdBy: `RUN ${'x'.repeat(80)}`, emptyLayer: false, size: 1000 },
    ]
    const [, first, second] = historyTable(steps, { id, now, trunc: true, quiet: false }).split('\n')
    expect(first).toMatch(/^0123456789ab\s+N\/A\s+CMD \["x"\]\s+0B\s+last$/)
    expect(second).toMatch(/^<missing>\s+N\/A\s+RUN x{40}…\s+1kB$/)
  })
  it('diskTable: how much would be free', () => {
    const use = { type: 'Images', total: 2, active: 1, size: 4e6, reclaimable: 1e6 }
    expect(diskTable([use]).split('\n')[1]).toMatch(/^Images\s+2\s+1\s+4MB\s+1MB \(25%\)$/)
  })
  it.each([
    [0, '0B'],
    [999, '999B'],
    [1000, '1kB'],
    [123_456_789, '123MB'],
    [5.5e12, '5.5TB'],
  ])('bytes: %d is %s', (count, text) => expect(bytes(count)).toBe(text))
  it.each([
    ['2026-02-28T23:59:59Z', '1 second ago'],
    ['2026-02-28T22:00:00Z', '2 hours ago'],
    ['1970-01-01T00:00:00Z', '56 years ago'],
    [undefined, 'N/A'],
  ])('ago: %s is %s', (created, text) => expect(ago(created, now)).toBe(text))
})
