/** Tables as docker and podman print them. */
import type { HistoryStep, ImageRecord } from '../images/index.ts'

export function imageTable(records: readonly ImageRecord[], now: number): string {
  const rows = records.flatMap(({ id, references, size, created }) => {
    const names = references.filter((name) => !name.includes('@'))
    return (names.length > 0 ? names : ['<none>:<none>']).map((name) => {
      const colon = name.lastIndexOf(':')
      return [name.slice(0, colon), name.slice(colon + 1), shortId(id), ago(created, now), bytes(size)]
    })
  })
  return table(['REPOSITORY', 'TAG', 'IMAGE ID', 'CREATED', 'SIZE'], rows)
}

export function historyTable(id: string, steps: readonly HistoryStep[], now: number): string {
  const rows = steps.map(({ created, createdBy, size, comment }, index) => [
    index === 0 ? shortId(id) : '<missing>',
    ago(created, now),
    cut(createdBy.replaceAll(/\s+/g, ' '), 60),
    bytes(size),
    comment ?? '',
  ])
  return table(['IMAGE', 'CREATED', 'CREATED BY', 'SIZE', 'COMMENT'], rows)
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
