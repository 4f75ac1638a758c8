/** `npm run bench -- NAME [--json]` */
import type { Bench, BenchRow, Sample } from './rows.ts'

const benches: Readonly<Record<string, () => Promise<{ bench: Bench }>>> = {
  api: () => import('./api.ts'),
  images: () => import('./images.ts'),
  network: () => import('./network.ts'),
  pods: () => import('./pods.ts'),
  up: () => import('./up.ts'),
  runtime: () => import('./runtime.ts'),
}

const [name = '', ...flags] = process.argv.slice(2)
const load = benches[name]
if (!load) {
  console.error(`usage: npm run bench -- NAME [--json]     NAME: ${Object.keys(benches).join(', ')}`)
  process.exit(1)
}
const rows = await (await load()).bench.run()
if (flags.includes('--json')) console.log(JSON.stringify(rows, undefined, 2))
else console.log(table(rows))

function table(all: readonly BenchRow[]): string {
  const head = ['what', 'unit', 'ours', '(min … max)', 'peers', 'ratio', 'goal', 'met']
  const lines = all.map((row) => [
    row.name,
    row.unit,
    number(row.ours.median),
    spread(row.ours),
    Object.entries(row.peers)
      .map(([peer, sample]) => `${peer} ${number(sample.median)} (${spread(sample)})`)
      .join(', '),
    row.ratio === undefined ? '' : row.ratio.toFixed(2),
    row.goal === undefined ? '' : `${row.moreIsBetter ? '≥' : '≤'} ${row.goal}${row.goalIsRatio ? ' ×' : ''}`,
    row.met === undefined ? '' : row.met ? 'yes' : 'NO',
  ])
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]?.length ?? 0)))
  return [head, ...lines]
    .map((line) => line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '))
    .join('\n')
}

function number(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

function spread(sample: Sample): string {
  return `${number(sample.min)} … ${number(sample.max)}`
}
