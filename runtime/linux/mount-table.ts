import { readFileSync } from 'node:fs'

/** Where the mount begins on which `path` lies: the longest mount point above it, from /proc/self/mountinfo. */
export function parentMount(path: string, table = readFileSync('/proc/self/mountinfo', 'utf8')): string {
  const plain = (text: string) =>
    text.replace(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 8)))
  const points = table.split('\n').map((line) => plain(line.split(' ')[4] ?? ''))
  const above = points.filter((point) => point === '/' || path === point || path.startsWith(`${point}/`))
  return above.reduce((longest, point) => (point.length > longest.length ? point : longest), '/')
}
