import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { CoracleError } from '../runtime/base/errors.ts'
import { type CgroupNode, inspectGroup, type Pressure } from '../runtime/cgroups/inspect.ts'
import { readRecord } from '../runtime/launcher/records.ts'
import { dataDir, defaultDataDir } from './data-dir.ts'

interface Options {
  watch?: boolean
  json?: boolean
  dataDir: string
}

const watchMilliseconds = 1000

/** `coracle cgroups [PATH|ID]`: the tree of groups with limits, use, pressure and processes. */
export function cgroupsCommand(): Command {
  return new Command('cgroups')
    .description('what the cgroups are limited to, and use now')
    .argument('[path|id]', 'a group, such as coracle/node1, or the id of a container', 'coracle')
    .option('-w, --watch', 'again every second')
    .option('--json', 'as JSON; with --watch one line each second')
    .option('--data-dir <folder>', 'where Coracle keeps its data', defaultDataDir)
    .action(async (wanted: string, options: Options) => {
      const path = groupOf(wanted, options)
      let before = look(path)
      if (!options.watch) {
        console.log(options.json ? JSON.stringify(before, undefined, 2) : treeText(before))
        return
      }
      for (let at = performance.now(); ; at = performance.now()) {
        await sleep(watchMilliseconds)
        const now = look(path)
        const seconds = (performance.now() - at) / 1000
        if (options.json) console.log(JSON.stringify(now))
        else console.log(`\x1b[H\x1b[2J${treeText(now, { before: cpuByPath(before), seconds })}`)
        before = now
      }
    })
}

function look(path: string): CgroupNode {
  const tree = inspectGroup(path)
  if (tree) return tree
  throw new CoracleError(`look at cgroup ${path}: there is no such group, and no container with this id`, {
    code: 'NOT_FOUND',
    hint: path === 'coracle' ? 'nothing of Coracle runs here' : 'coracle cgroups shows all of ours',
  })
}

/** A path as it is; an id through the state of whoever keeps the container: a node, or `coracle oci`. */
function groupOf(wanted: string, { dataDir: folder }: Options): string {
  const path = wanted.replace(/^(\/sys\/fs\/cgroup)?\/+/, '').replace(/\/+$/, '')
  if (wanted.includes('/')) return path
  const record = [dataDir(folder).runtime, '/run/coracle-oci']
    .filter(existsSync)
    .map((root) => readRecord(root, wanted))
  return record.find((found) => found !== undefined)?.cgroupPath || path
}

/** Processor time by path, of one look: two looks make a rate. */
function cpuByPath(tree: CgroupNode): Map<string, number> {
  const own: [string, number] = [tree.path, tree.usage.cpuUsageNanoseconds]
  return new Map([own, ...tree.groups.flatMap((group) => [...cpuByPath(group)])])
}

/** The tree as a table, one row a group, its processes below it. With an earlier look, processor use as a rate. */
export function treeText(tree: CgroupNode, rate?: { before: ReadonlyMap<string, number>; seconds: number }): string {
  const rows: string[][] = [
    [
      'GROUP',
      rate ? 'CPU %' : 'CPU s',
      'OF',
      'MEMORY',
      'PEAK',
      'LIMIT',
      'PIDS',
      'IO R/W',
      'PRESSURE cpu/mem/io',
      'OOM',
    ],
  ]
  const visit = (node: CgroupNode, depth: number) => {
    const { usage, limits, pressure, io } = node
    const seconds = usage.cpuUsageNanoseconds / 1e9
    const before = rate?.before.get(node.path)
    const used = rate
      ? before === undefined
        ? ''
        : ((usage.cpuUsageNanoseconds - before) / 1e7 / rate.seconds).toFixed(1)
      : seconds.toFixed(2)
    const indent = '  '.repeat(depth)
    rows.push([
      `${indent}${depth === 0 ? node.path : node.path.slice(node.path.lastIndexOf('/') + 1)}`,
      used,
      cpuLimit(limits),
      bytes(usage.memoryUsageBytes),
      node.memoryPeakBytes === undefined ? '' : bytes(node.memoryPeakBytes),
      limits.memoryBytes === undefined ? '' : bytes(limits.memoryBytes),
      `${usage.pids}${limits.pids === undefined ? '' : `/${limits.pids}`}`,
      io.readBytes + io.writeBytes === 0 ? '' : `${bytes(io.readBytes)}/${bytes(io.writeBytes)}`,
      pressure ? [pressure.cpu, pressure.memory, pressure.io].map(percent).join('/') : '',
      usage.oomKills === 0 ? '' : String(usage.oomKills),
    ])
    for (const { pid, command } of node.processes) rows.push([`${indent}  ${pid} ${command.slice(0, 60)}`])
    for (const group of node.groups) visit(group, depth + 1)
  }
  visit(tree, 0)
  return table(rows)
}

function cpuLimit({ cpus, cpuWeight, cpuset }: CgroupNode['limits']): string {
  const parts = [
    cpus === undefined ? '' : `${Number(cpus.toFixed(2))} cpu`,
    cpuWeight === undefined ? '' : `weight ${cpuWeight}`,
    cpuset === undefined ? '' : `on ${cpuset}`,
  ]
  return parts.filter(Boolean).join(', ')
}

const percent = ({ some }: Pressure) => `${some.toFixed(1)} %`

function bytes(value: number): string {
  const units = ['B', 'K', 'M', 'G', 'T']
  const power = Math.min(units.length - 1, value < 1 ? 0 : Math.floor(Math.log2(value) / 10))
  const scaled = value / 1024 ** power
  return `${scaled >= 100 || power === 0 ? scaled.toFixed(0) : scaled.toPrecision(2)}${units[power]}`
}

/** Columns as wide as their cells; a row of one cell, a process, makes no column wider. Empty columns are left out. */
function table(rows: readonly string[][]): string {
  const full = rows.filter((row) => row.length > 1)
  const columns = (full[0] ?? []).map((_, at) => at).filter((at) => full.slice(1).some((row) => row[at]))
  const widths = columns.map((at) => Math.max(...full.map((row) => row[at]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row.length === 1 ? row[0] : columns.map((at, index) => (row[at] ?? '').padEnd(widths[index] ?? 0)).join('  ')
  return rows.map((row) => line(row)?.trimEnd()).join('\n')
}
