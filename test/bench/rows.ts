/** What every benchmark gives: rows for people as a table, for programs as JSON. */
export interface Sample {
  median: number
  min: number
  max: number
}

export interface BenchRow {
  name: string
  unit: string
  ours: Sample
  peers: Readonly<Record<string, Sample>>
  /** Ours by the first peer's, medians. */
  ratio?: number
  /** In the row's unit, unless `goalIsRatio`. */
  goal?: number
  goalIsRatio?: boolean
  /** Of a rate: the goal is the least. */
  moreIsBetter?: boolean
  met?: boolean
}

export interface Bench {
  name: string
  run(): Promise<BenchRow[]>
}

export function sampleOf(values: readonly number[]): Sample {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (index: number) => sorted[index] ?? Number.NaN
  const middle = sorted.length / 2
  const median = Number.isInteger(middle) ? (at(middle - 1) + at(middle)) / 2 : at(Math.floor(middle))
  return { median, min: at(0), max: at(sorted.length - 1) }
}

/** A row with ratio and verdict worked out. Less is better, unless it says otherwise. */
export function rowOf(row: Omit<BenchRow, 'ratio' | 'met'>): BenchRow {
  const [peer] = Object.values(row.peers)
  const ratio = peer === undefined ? undefined : row.ours.median / peer.median
  const measured = row.goalIsRatio ? ratio : row.ours.median
  return {
    ...row,
    ...(ratio === undefined ? {} : { ratio }),
    ...(row.goal === undefined || measured === undefined
      ? {}
      : { met: row.moreIsBetter ? measured >= row.goal : measured <= row.goal }),
  }
}
