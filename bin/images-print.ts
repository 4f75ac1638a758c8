/** Tables as docker and podman print them. */
import type { DiskUsage, HistoryStep, ImageRecord } from '../images/index.ts'
import { CoracleError } from '../runtime/base/errors.ts'

/** A line of `ls`, with docker's names for its columns. */
export interface ImageRow {
  Repository: string
  Tag: string
  Digest: string
  ID: string
  CreatedSince: string
  CreatedAt: string
  Size: string
}

export type ImageFilter = { key: 'dangling' | 'label' | 'reference' | 'before' | 'since'; value: string }
const filterKeys = ['dangling', 'label', 'reference', 'before', 'since'] as const

/** `key=value`. Throws `BAD_FLAG` for others than docker's. */
export function parseFilter(text: string): ImageFilter {
  const equals = text.indexOf('=')
  const [name, value] = [text.slice(0, Math.max(equals, 0)), text.slice(equals + 1)]
  const key = filterKeys.find((one) => one === name)
  if (!key || (key === 'dangling' && !['true', 'false'].includes(value))) {
    throw new CoracleError(`--filter ${text}: it is one of ${filterKeys.join(', ')}`, { code: 'BAD_FLAG' })
  }
  return { key, value }
}

/** A line for each name, newest image first. */
export function imageRows(
  records: readonly ImageRecord[],
  o: { filters: readonly ImageFilter[]; now: number; trunc: boolean },
): ImageRow[] {
  const newest = records.toSorted((one, other) => timeOf(other) - timeOf(one))
  return newest.flatMap((record) => {
    if (!o.filters.every((filter) => fitsImage(record, { filter, records }))) return []
    const tagged = namesOf(record).filter((name) => o.filters.every((filter) => fitsName(name, filter)))
    if (tagged.length === 0 && (namesOf(record).length > 0 || o.filters.some(({ key }) => key === 'reference')))
      return []
    const digest = record.references.find((name) => name.includes('@'))?.split('@')[1] ?? '<none>'
    return (tagged.length > 0 ? tagged : ['<none>:<none>']).map((name): ImageRow => {
      const colon = name.lastIndexOf(':')
      return {
        Repository: name.slice(0, colon),
        Tag: name.slice(colon + 1),
        Digest: digest,
        ID: o.trunc ? shortId(record.id) : record.id,
        CreatedSince: ago(record.created, o.now),
        CreatedAt: record.created ?? '',
        Size: bytes(record.size),
      }
    })
  })
}

const namesOf = ({ references }: ImageRecord) => references.filter((name) => !name.includes('@'))
const timeOf = ({ created }: ImageRecord) => Date.parse(created ?? '') || 0

function fitsImage(
  record: ImageRecord,
  { filter: { key, value }, records }: { filter: ImageFilter; records: readonly ImageRecord[] },
): boolean {
  switch (key) {
    case 'dangling':
      return (namesOf(record).length === 0) === (value === 'true')
    case 'label': {
      const [name = '', wanted] = [
        value.split('=')[0],
        value.includes('=') ? value.slice(value.indexOf('=') + 1) : undefined,
      ]
      const label = record.config.Labels?.[name]
      return label !== undefined && (wanted === undefined || label === wanted)
    }
    case 'before':
    case 'since': {
      const other = records.find(({ id, references }) => references.includes(value) || shortId(id).startsWith(value))
      if (!other) throw new CoracleError(`--filter ${key}=${value}: there is no such image`, { code: 'BAD_FLAG' })
      return key === 'before' ? timeOf(record) < timeOf(other) : timeOf(record) > timeOf(other)
    }
    case 'reference':
      return true
  }
}

/** Docker's pattern: `*` within a part of the name; a short name means the one on Docker Hub. */
function fitsName(name: string, { key, value }: ImageFilter): boolean {
  if (key !== 'reference') return true
  const text = value
    .replaceAll(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '[^/]*')
    .replaceAll('?', '[^/]')
  const pattern = new RegExp(`^${text}$`)
  const short = name.replace(/^docker\.io\/(library\/)?/, '')
  return [name, short].some((one) => pattern.test(one) || pattern.test(one.slice(0, one.lastIndexOf(':'))))
}

export function imageTable(rows: readonly ImageRow[], { digests }: { digests: boolean }): string {
  const head = ['REPOSITORY', 'TAG', ...(digests ? ['DIGEST'] : []), 'IMAGE ID', 'CREATED', 'SIZE']
  return table(
    head,
    rows.map((row) => [row.Repository, row.Tag, ...(digests ? [row.Digest] : []), row.ID, row.CreatedSince, row.Size]),
  )
}

/** The fields of `docker inspect` that an image has here; ours are `Digest` and `RepoTags` with complete names. */
export function dockerInspect(record: ImageRecord): Record<string, unknown> {
  const { id, references, created, size, config, digest, platform, diffIds, author } = record
  return {
    Id: id,
    Digest: digest,
    RepoTags: namesOf(record),
    RepoDigests: references.filter((name) => name.includes('@')),
    Created: created ?? '',
    Author: author ?? '',
    Architecture: platform.architecture,
    ...(platform.variant === undefined ? {} : { Variant: platform.variant }),
    Os: platform.os,
    Size: size,
    RootFS: { Type: 'layers', Layers: diffIds },
    Config: config,
  }
}

export function historyTable(
  steps: readonly HistoryStep[],
  { id, now, trunc, quiet }: { id: string; now: number; trunc: boolean; quiet: boolean },
): string {
  const rows = steps.map(({ created, createdBy, size, comment }, index) => [
    index > 0 ? '<missing>' : trunc ? shortId(id) : id,
    ago(created, now),
    trunc ? cut(createdBy.replaceAll(/\s+/g, ' '), 45) : createdBy,
    bytes(size),
    comment ?? '',
  ])
  if (quiet) return rows.map(([first]) => first).join('\n')
  return table(['IMAGE', 'CREATED', 'CREATED BY', 'SIZE', 'COMMENT'], rows)
}

/** `df -v`: what each image and container takes on the disk. */
export function diskDetails({ images, containers }: DiskUsage): string {
  const imageLines = images.map(({ image, size, shared, unique, containers: users }) => {
    const name = namesOf(image)[0] ?? '<none>:<none>'
    const colon = name.lastIndexOf(':')
    const names = [name.slice(0, colon), name.slice(colon + 1), shortId(image.id)]
    return [...names, bytes(size), bytes(shared), bytes(unique), String(users.length)]
  })
  const head = ['REPOSITORY', 'TAG', 'IMAGE ID', 'SIZE', 'SHARED SIZE', 'UNIQUE SIZE', 'CONTAINERS']
  const containerLines = containers.map(({ id, image, size, files }) => [id, image, bytes(size), String(files)])
  return [
    'Images space usage:\n',
    table(head, imageLines),
    '\nContainers space usage:\n',
    table(['CONTAINER ID', 'IMAGE', 'SIZE', 'FILES'], containerLines),
  ].join('\n')
}

export interface DiskUse {
  type: string
  total: number
  active: number
  size: number
  reclaimable: number
}

export function diskTable(uses: readonly DiskUse[]): string {
  const percent = ({ size, reclaimable }: DiskUse) => (size === 0 ? 0 : Math.round((reclaimable / size) * 100))
  const rows = uses.map((use) => [
    use.type,
    String(use.total),
    String(use.active),
    bytes(use.size),
    `${bytes(use.reclaimable)} (${percent(use)}%)`,
  ])
  return table(['TYPE', 'TOTAL', 'ACTIVE', 'SIZE', 'RECLAIMABLE'], rows)
}

/** Decimal units with three digits, as docker shows sizes: `121MB`, `1.27MB`. */
export function bytes(count: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = count < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(count) / 3))
  const value = count / 1000 ** power
  return `${power === 0 ? value : Number(value.toPrecision(3))}${units[power]}`
}

const spans = [
  ['year', 365 * 86_400],
  ['month', 30 * 86_400],
  ['week', 7 * 86_400],
  ['day', 86_400],
  ['hour', 3600],
  ['minute', 60],
  ['second', 1],
] as const

/** `3 weeks ago`; images whose bytes are the same every time say that they were made in 1970. */
export function ago(created: string | undefined, now: number): string {
  const seconds = Math.floor((now - Date.parse(created ?? '')) / 1000)
  if (Number.isNaN(seconds)) return 'N/A'
  const [unit, length] = spans.find(([, each]) => seconds >= each) ?? ['second', 1]
  const count = Math.max(0, Math.floor(seconds / length))
  return `${count} ${unit}${count === 1 ? '' : 's'} ago`
}

const shortId = (id: string) => id.replace(/^sha256:/, '').slice(0, 12)
const cut = (text: string, length: number) => (text.length > length ? `${text.slice(0, length - 1)}…` : text)

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [head, ...rows]
  const widths = head.map((_title, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const padded = (line: readonly string[]) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('   ')
  return lines.map((line) => padded(line).trimEnd()).join('\n')
}
