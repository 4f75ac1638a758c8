import { closeSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { type DescriptorInbox, descriptorInbox } from '../linux/pass-descriptors.ts'
import { becomeSubreaper, makePipe } from '../linux/process.ts'
import { type Report, readReports, startPlayer } from '../tape/play.ts'
import type { Children } from './children.ts'
import { launcherError, playFailed } from './errors.ts'
import type { ForeignMarks } from './protocol.ts'

export interface ForeignRequest {
  tape: Uint8Array
  marks: ForeignMarks
  /** 0, 1 and 2 of the runtime and of the process that it makes; closed here as soon as it has them. */
  inherit: ReadonlyMap<number, number>
  children: Children
}

export interface ForeignBorn {
  pid: number
  /** Of the process' terminal; ours to close. */
  master?: number
}

const consoleMilliseconds = 10_000

/**
 * Has another OCI runtime bear a process: it writes the pid to a file and leaves, and the process, an orphan, becomes our
 * child, because we are the subreaper of whatever we start (PR_SET_CHILD_SUBREAPER). Throws PLAY_FAILED, FOREIGN_FAILED.
 */
export async function bearForeign(request: ForeignRequest): Promise<ForeignBorn> {
  const { pidFile, consoleSocket } = request.marks
  becomeSubreaper()
  let inbox: DescriptorInbox | undefined
  let master: number | undefined
  try {
    inbox = consoleSocket ? descriptorInbox(consoleSocket) : undefined
    // Whoever fails first says why: without a terminal the runtime does not leave well, and a failed one sends none.
    const received = inbox?.receive(consoleMilliseconds).then((fd) => {
      master = fd
    })
    received?.catch(() => {})
    await runForeign(request)
    await received
    return { pid: Number(readFileSync(pidFile, 'utf8')), ...(master === undefined ? {} : { master }) }
  } catch (error) {
    if (master !== undefined) closeSync(master)
    throw error
  } finally {
    inbox?.close()
    rmSync(pidFile, { force: true })
  }
}

/** Plays a tape that becomes a program, and waits until that has ended well. Throws PLAY_FAILED, FOREIGN_FAILED. */
export async function runForeign({ tape, marks, inherit, children }: ForeignRequest): Promise<void> {
  const since = children.moment()
  const report = makePipe()
  const pid = startPlayer(tape, report.write, { inherit })
  for (const fd of new Set([...inherit.values(), report.write])) closeSync(fd)
  const exited = children.wait(pid, since)
  let failed: Report | undefined
  await readReports(report.read, (one) => {
    if (one.result < 0) failed ??= one
  })
  const { exitCode } = await exited
  if (failed) throw playFailed(failed)
  if (exitCode === 0) return
  const said = lastError(marks.log) ?? `it ended with exit code ${exitCode}`
  throw launcherError('FOREIGN_FAILED', `${marks.what}: ${said}`, { exitCode })
}

/** What an OCI runtime has written last to its `--log` (`--log-format json`). */
function lastError(file: string): string | undefined {
  if (!existsSync(file)) return undefined
  const line = readFileSync(file, 'utf8').trim().split('\n').at(-1) ?? ''
  try {
    return String((JSON.parse(line) as { msg: unknown }).msg)
  } catch {
    return line || undefined
  }
}
