import { closeSync } from 'node:fs'
import { hasCode } from '../base/errors.ts'
import { recordExec, targetDescriptor } from '../birth/exec.ts'
import { gateDescriptor } from '../birth/order.ts'
import { cgroups } from '../cgroups/driver.ts'
import { playBirth } from '../launcher/birth-play.ts'
import { makePipe, pidfdOpen } from '../linux/process.ts'
import type { OciProcess } from '../spec/types.ts'
import { validateProcess } from '../spec/validate.ts'
import { ownStreams, type Report, stepError } from '../tape/play.ts'
import { explainExec } from './explain-exec.ts'
import { withHome } from './home.ts'
import { savedConfig } from './saved-config.ts'
import { requireState } from './state.ts'

/** What an exec without a launcher gives: the caller waits for `pid`, which is its own child. */
export interface LocalExec {
  pid: number
  warnings: string[]
  /** With a terminal: the master's descriptor in that process, which waits until `open` is called. */
  master: number
  open(): void
}

/** Runs one more process in a container, with this process' own streams. Throws NOT_FOUND, WRONG_STATE, EXEC_FAILED. */
export async function execHere(root: string, id: string, asked: OciProcess): Promise<LocalExec> {
  const { cgroupPath, pid: target = 0 } = requireState(root, id, { verb: 'exec', states: ['running'] })
  const config = savedConfig(root, id)
  const process = withHome(validateProcess(asked), `/proc/${target}/root`)
  const cgroup = cgroups().membership(cgroupPath)
  const { tape, clone, ready, warnings } = recordExec({ spec: config.spec, process, cgroup, ownsStdio: false })
  const report = makePipe()
  const gate = makePipe()
  const pidfd = pidfdOpen(target)
  const inherit = new Map<number, number>([...ownStreams, [gateDescriptor, gate.read], [targetDescriptor, pidfd]])
  const play = {
    tape: tape.encode(),
    marks: { clone, ready },
    reportRead: report.read,
    reportWrite: report.write,
    inherit,
  }
  try {
    const played = await playBirth(play, () => {
      for (const fd of [gate.read, pidfd, report.write]) closeSync(fd)
    })
    return { pid: played.pid, warnings, master: played.result, open: () => closeSync(gate.write) }
  } catch (error) {
    if (!hasCode(error, 'PLAY_FAILED') || error.facts.index === undefined) throw error
    const failed = stepError(tape, error.facts as unknown as Report)
    throw explainExec(failed, { ...config, spec: { ...config.spec, process } })
  }
}
