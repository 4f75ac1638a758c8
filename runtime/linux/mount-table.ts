import { readFileSync } from 'node:fs'

/** Where the mount begins on which `path` lies: the longest mount point above it, from /proc/self/mountinfo. */
export function parentMount(path: string, table = mountinfo()): string {
  return rowAbove(path, table).point
}

/** True where no file can be executed: of a mount with `noexec`. */
export function isOnNoexec(path: string, table = mountinfo()): boolean {
  return rowAbove(path, table).options.includes('noexec')
}

const mountinfo = () => readFileSync('/proc/self/mountinfo', 'utf8')

/** The last of the rows with the longest mount point: what was mounted later lies above. */
function rowAbove(path: string, table: string): { point: string; options: string[] } {
  const plain = (text: string) =>
    text.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)))
  const rows = table.split('\n').map((line) => line.split(' '))
  const mounts = rows.map(([, , , , point = '', options = '']) => ({
    point: plain(point),
    options: options.split(','),
  }))
  const above = mounts.filter(({ point }) => point === '/' || path === point || path.startsWith(`${point}/`))
  return above.reduce((longest, row) => (row.point.length >= longest.point.length ? row : longest), {
    point: '/',
    options: [],
  })
}
