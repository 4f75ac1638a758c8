import { closeSync, constants, fstatSync, openSync } from 'node:fs'
import { posix } from 'node:path'
import { type CoracleError, errnoOf } from '../base/errors.ts'
import { openBelow } from '../linux/at-files.ts'
import { openFlags } from '../linux/constants.ts'
import type { OciProcess } from '../spec/types.ts'
import { containerError } from './errors.ts'

/**
 * Looks for the program of a container that waits at its gate, as it will see the files itself. runc says at create already that
 * a program is missing, and engines (podman's exit codes 126 and 127, conmon) hear it only there. What the kernel alone can
 * tell, such as a missing loader, start says. Throws EXEC_FAILED, in runc's words.
 */
export function requireProgram(pid: number, { args = [], env = [], cwd }: OciProcess): void {
  const [program = ''] = args
  const root = openSync(`/proc/${pid}/root`, openFlags.O_PATH | constants.O_DIRECTORY)
  try {
    const missing = program.includes('/') ? verdict(root, posix.resolve(cwd, program)) : inPath(root, env, cwd, program)
    if (missing !== undefined) throw failed(program, missing)
  } finally {
    closeSync(root)
  }
}

function inPath(root: number, env: readonly string[], cwd: string, program: string): string | undefined {
  const path = env.findLast((line) => line.startsWith('PATH='))?.slice(5) ?? '/bin:/usr/bin'
  const verdicts = path.split(':').map((folder) => verdict(root, posix.resolve(cwd, folder || '.', program)))
  if (verdicts.includes(undefined)) return undefined
  const worse = verdicts.find((one) => one !== notThere)
  return worse ?? 'executable file not found in $PATH'
}

const notThere = 'no such file or directory'

/** What is wrong with a file as a program; undefined when nothing is. */
function verdict(root: number, path: string): string | undefined {
  let fd: number
  try {
    fd = openBelow(root, Buffer.from(path), { flags: openFlags.O_PATH })
  } catch (error) {
    const errno = errnoOf(error) ?? ''
    if (errno === 'ENOENT' || errno === 'ENOTDIR') return notThere
    // What cannot be looked at from here is left to execve.
    return errno === 'ELOOP' ? `stat ${path}: too many levels of symbolic links` : undefined
  }
  try {
    const stat = fstatSync(fd)
    if (stat.isDirectory()) return `${path} is a folder: permission denied`
    return (stat.mode & 0o111) === 0 ? `${path} is not executable: permission denied` : undefined
  } finally {
    closeSync(fd)
  }
}

function failed(program: string, reason: string): CoracleError {
  const what = program.includes('/') && reason === notThere ? `stat ${program}: ${reason}` : reason
  return containerError('EXEC_FAILED', `exec: ${JSON.stringify(program)}: ${what}`, { program })
}
