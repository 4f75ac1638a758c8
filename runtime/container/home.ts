import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { O_PATH, openBelow } from '../linux/at-files.ts'
import type { OciProcess } from '../spec/types.ts'

/** Of an image's /etc/passwd no more is read: nobody has a million users. */
const mostBytes = 1024 * 1024

/**
 * The process with HOME in its environment, as runc and crun give it where config.json does not: from the /etc/passwd below
 * `root`, or `/`. Engines that use a bundle rely on it.
 */
export function withHome(process: OciProcess, root: string): OciProcess {
  const { env = [], user } = process
  if (/^HOME=./.test(env.findLast((line) => line.startsWith('HOME=')) ?? '')) return process
  const home = homeOf(passwdBelow(root), user?.uid ?? 0)
  return { ...process, env: [...env.filter((line) => !line.startsWith('HOME=')), `HOME=${home}`] }
}

/** The image is hostile: a line counts only if it has its seven fields, a plain number and an absolute path (CVE-2026-30892). */
export function homeOf(passwd: string, uid: number): string {
  for (const line of passwd.split('\n')) {
    const fields = line.split(':')
    const [, , id = '', , , home = ''] = fields
    if (fields.length === 7 && /^\d{1,10}$/.test(id) && Number(id) === uid && /^\/[^\p{Cc}]*$/u.test(home)) return home
  }
  return '/'
}

/** Links are resolved below the root; anything but a file of moderate size is as if it were not there. */
function passwdBelow(root: string): string {
  const opened: number[] = []
  try {
    const folder = openSync(root, O_PATH | constants.O_DIRECTORY)
    opened.push(folder)
    const file = openBelow(folder, Buffer.from('etc/passwd'), { flags: constants.O_RDONLY | constants.O_NONBLOCK })
    opened.push(file)
    if (!fstatSync(file).isFile()) return ''
    const bytes = Buffer.alloc(Math.min(fstatSync(file).size, mostBytes))
    return bytes.toString('utf8', 0, readSync(file, bytes))
  } catch {
    return ''
  } finally {
    for (const fd of opened) closeSync(fd)
  }
}
