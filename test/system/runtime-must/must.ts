import type { OciSpec } from '../../../runtime/index.ts'
import type { Answer } from '../../fixtures/probe/build.ts'

export type FullSpec = Required<OciSpec> & { process: NonNullable<OciSpec['process']> }

/** One sentence of the runtime-spec, and how a container shows that it is kept. */
export interface Must {
  /** `file#anchor` of runtime-spec v1.3.0. */
  section: string
  /** The spec's own words, or the beginning of them. */
  words: string
  change?(spec: FullSpec): void
  /** Arguments of the probe; `see .` if absent. */
  ask?: readonly string[]
  /** What the probe must have answered, question by question: a part of the answer, or a look at it that throws. */
  expect?: readonly Expected[]
  /** There must be no container, and our reason matches this. */
  refused?: RegExp
  exitCode?: number
  /** Where Debian's runc (1.1, spec 1.0.2) does otherwise: why that is. */
  runcDiffers?: string
}

export type Expected = Record<string, unknown> | ((answer: Answer) => void)

/** A field of /proc/self/status. */
export function statusField(answer: Answer, name: string): string {
  return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(String(answer.status))?.[1] ?? ''
}

export interface MountSeen {
  target: string
  options: string[]
  fields: string[]
  type: string
  superOptions: string[]
}

/** The last mount on a path, from /proc/self/mountinfo (proc_pid_mountinfo(5)). */
export function mountAt(answer: Answer, target: string): MountSeen | undefined {
  return mountsOf(answer).findLast((mount) => mount.target === target)
}

export function mountsOf(answer: Answer): MountSeen[] {
  return String(answer.mountinfo)
    .split('\n')
    .filter((line) => line.includes(' - '))
    .map((line) => {
      const [left = '', right = ''] = line.split(' - ')
      const [, , , , at = '', options = '', ...fields] = left.split(' ')
      const [type = '', , superOptions = ''] = right.split(' ')
      return { target: at, options: options.split(','), fields, type, superOptions: superOptions.split(',') }
    })
}

export const S_IFCHR = 0o020000
export const S_IFBLK = 0o060000
export const S_IFIFO = 0o010000
export const S_IFLNK = 0o120000
export const EROFS = 30
export const EACCES = 13
export const ENOENT = 2
export const EPERM = 1
