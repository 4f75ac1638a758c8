import { readFileSync } from 'node:fs'

/** Where the mount begins on which `path` lies: the longest mount point above it, from /proc/self/mountinfo. */
export function parentMount(path: string, table = mountinfo()): string {
  return rowAbove(path, table).point
}

/** True where no file can be executed: of a mount with `noexec`. */
export function isOnNoexec(path: string, table = mountinfo()): boolean {
  return rowAbove(path, table).options.includes('noexec')
}

/** Where a whole filesystem of one of these types is mounted, and not a part of it: those above come first. */
export function wholeMounts(types: readonly string[], table = mountinfo()): string[] {
  return rowsOf(table)
    .filter(({ root, type }) => root === '/' && types.includes(type))
    .map(({ point }) => point)
}

const mountinfo = () => readFileSync('/proc/self/mountinfo', 'utf8')

interface Row {
  /** What of the filesystem is mounted: `/` for all of it. */
  root: string
  point: string
  options: string[]
  type: string
}

/** proc_pid_mountinfo(5). */
function rowsOf(table: string): Row[] {
  const plain = (text: string) =>
    text.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)))
  return table.split('\n').map((line) => {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , root = '', point = '', options = ''] = before.split(' ')
    return { root, point: plain(point), options: options.split(','), type: after.split(' ')[0] ?? '' }
  })
}

/** The last of the rows with the longest mount point: what was mounted later lies above. */
function rowAbove(path: string, table: string): Pick<Row, 'point' | 'options'> {
  const above = rowsOf(table).filter(({ point }) => point === '/' || path === point || path.startsWith(`${point}/`))
  const top: Pick<Row, 'point' | 'options'> = { point: '/', options: [] }
  return above.reduce((longest, row) => (row.point.length >= longest.point.length ? row : longest), top)
}
