import { closeSync, openSync, readSync, statSync } from 'node:fs'
import type { CoracleError } from '../base/errors.ts'
import { containerError } from './errors.ts'
import type { SavedConfig } from './saved-config.ts'

/**
 * What is really missing when execve says ENOENT, EACCES or ENOEXEC, from looking at the file: the kernel says ENOENT
 * for a missing interpreter as well. Any other failure is returned as it is.
 */
export function explainExec(failed: CoracleError, config: SavedConfig): CoracleError {
  const { syscall, errno } = failed.facts
  if (syscall !== 'execve') return failed
  const args = config.spec.process?.args ?? []
  const program = args[0] ?? ''
  const reason = reasonFor(program, wordsOf(String(errno)), config)
  return containerError(
    'EXEC_FAILED',
    `exec ${JSON.stringify(program)}: ${reason}`,
    { ...failed.facts, program },
    failed,
  )
}

/** With the C library's words, which engines look for to tell 126 from 127. */
function wordsOf(errno: string): string {
  const words: Readonly<Record<string, string>> = {
    ENOENT: 'no such file or directory',
    EACCES: 'permission denied',
    ENOEXEC: 'exec format error',
  }
  return words[errno] === undefined ? errno : `${errno}: ${words[errno]}`
}

function reasonFor(program: string, errno: string, config: SavedConfig): string {
  const path = program.includes('/') ? lookUp(config, program) : findInPath(config, program)
  if (path === undefined) {
    const where = program.includes('/') ? 'no such file in the image' : 'executable file not found in $PATH'
    return `${where} (${errno})`
  }
  if (statSync(path).isDirectory()) return `it is a folder (${errno})`
  if ((statSync(path).mode & 0o111) === 0) return `the file is not executable (${errno})`
  const head = Buffer.alloc(4096)
  const fd = openSync(path, 'r')
  const length = readSync(fd, head)
  closeSync(fd)
  return `${interpreterProblem(head.subarray(0, length), config) ?? 'the kernel refused it'} (${errno})`
}

function interpreterProblem(head: Buffer, config: SavedConfig): string | undefined {
  if (head.subarray(0, 2).toString() === '#!') {
    const line = head.toString('latin1').split('\n')[0] ?? ''
    if (line.endsWith('\r')) return 'its first line ends with CR LF, as on Windows, so the interpreter is not found'
    const interpreter = line.slice(2).trim().split(/\s/)[0] ?? ''
    return lookUp(config, interpreter) ? undefined : `its interpreter ${interpreter} does not exist in the image`
  }
  if (head.readUInt32BE(0) !== 0x7f454c46) return 'it is neither an ELF program nor a script with #!'
  const machine = head.readUInt16LE(18)
  const ours = process.arch === 'arm64' ? 183 : 62
  if (machine !== ours) return `it is built for another architecture (ELF machine ${machine}, this host is ${ours})`
  const loader = elfInterpreter(head)
  return loader === undefined || lookUp(config, loader) ? undefined : `its loader ${loader} does not exist in the image`
}

/** PT_INTERP of a 64-bit ELF. */
function elfInterpreter(head: Buffer): string | undefined {
  const table = Number(head.readBigUInt64LE(32))
  const size = head.readUInt16LE(54)
  for (let at = 0; at < head.readUInt16LE(56); at++) {
    const row = table + at * size
    if (row + size > head.length || head.readUInt32LE(row) !== 3) continue
    const from = Number(head.readBigUInt64LE(row + 8))
    const bytes = Number(head.readBigUInt64LE(row + 32))
    return head.subarray(from, from + bytes - 1).toString()
  }
  return undefined
}

function findInPath(config: SavedConfig, program: string): string | undefined {
  const path = config.spec.process?.env?.findLast((line) => line.startsWith('PATH='))?.slice(5) ?? '/bin:/usr/bin'
  for (const folder of path.split(':')) {
    const found = lookUp(config, `${folder}/${program}`)
    if (found) return found
  }
  return undefined
}

/** Only for a message, so links are followed as the host sees them when they are relative, and not at all when absolute. */
function lookUp({ spec, bundle, rootfs }: SavedConfig, path: string): string | undefined {
  const root = spec.root?.path ?? ''
  const layers = rootfs
    ? [rootfs.overlay.upper, ...rootfs.overlay.lower]
    : [root.startsWith('/') ? root : `${bundle ?? ''}/${root}`]
  const full = path.startsWith('/') ? path : `${spec.process?.cwd ?? ''}/${path}`
  return layers.map((layer) => `${layer}/${full}`).find(isThere)
}

function isThere(file: string): boolean {
  try {
    return statSync(file, { throwIfNoEntry: false }) !== undefined
  } catch {
    // A loop of links, or a file where a folder should be.
    return false
  }
}
