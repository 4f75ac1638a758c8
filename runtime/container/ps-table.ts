import type { ProcessFacts } from '../linux/process-table.ts'
import type { PsColumn, PsHost } from './ps-columns.ts'

/**
 * A table as ps(1) sets it, as lines: a value that is too long takes its room from the blanks of those after it, and the last
 * column has no end. The line of titles is left out where it is not wanted, and where all of them are empty.
 */
export function psTable(
  { columns, withTitles }: { columns: readonly PsColumn[]; withTitles: boolean },
  processes: readonly ProcessFacts[],
  host: PsHost,
): string[] {
  const rows = processes.map((process) => columns.map(({ cell }) => cell(process, host)))
  const titles = columns.map(({ title }) => title)
  const isTitled = withTitles && titles.some((title) => title !== '')
  return [...(isTitled ? [lineOf(columns, titles)] : []), ...rows.map((cells) => lineOf(columns, cells, true))]
}

function lineOf(columns: readonly PsColumn[], cells: readonly string[], cuts = false): string {
  let line = ''
  let due = 0
  for (const [at, { width, right, cut }] of columns.entries()) {
    const isLast = at === columns.length - 1
    const whole = cells[at] ?? ''
    const cell = cuts && cut && !isLast ? whole.slice(0, width) : whole
    const blanks = due - line.length + (right ? width - cell.length : 0)
    line += ' '.repeat(Math.max(blanks, at === 0 ? 0 : 1)) + cell
    due += width + 1
  }
  return line
}
