import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import { cgroups } from '../../runtime/cgroups/driver.ts'
import { birthOf } from '../../runtime/container/create.ts'
import { makePipe, reapChild } from '../../runtime/linux/process.ts'
import { parseReport, playerDescriptors, reportBytes, startPlayer } from '../../runtime/tape/play.ts'
import type { Fixture } from '../system/runtime-fixture.ts'

/**
 * Milliseconds for what the kernel has to do in a container's life, whoever asks for it: its groups, the program that plays the
 * tape, the tape itself, /bin/true and its end. No launcher, no client and no files; the tape is recorded beforehand, and
 * nobody sleeps while he waits. What the resident runtime takes beyond that is ours to make less.
 */
export function lifeOfTape(on: Fixture): number {
  const spec = on.spec(['/bin/true'])
  const path = spec.linux?.cgroupsPath ?? ''
  cgroups().create(path, {})
  const { tape, clone } = birthOf({ root: on.root }, 'tape-alone', { spec })
  const bytes = tape.encode()
  cgroups().removeIfEmpty(path)
  const nothing = openSync('/dev/null', 'r+')
  const [report, gate] = [makePipe(), makePipe()]
  const before = performance.now()
  cgroups().create(path, {})
  const streams = [0, 1, 2].map((fd) => [fd, nothing] as const)
  const player = startPlayer(bytes, report.write, {
    inherit: new Map([...streams, [playerDescriptors.firstFree, gate.read]]),
  })
  closeSync(report.write)
  writeSync(gate.write, 'g')
  const pid = pidFrom(report.read, clone)
  for (const child of [player, pid]) while (reapChild(child) === 'running');
  cgroups().removeIfEmpty(path)
  const spent = performance.now() - before
  for (const fd of [nothing, report.read, gate.read, gate.write]) closeSync(fd)
  return spent
}

/** Reads reports until the program begins, which closes them. */
function pidFrom(fd: number, clone: number): number {
  const bytes = Buffer.alloc(reportBytes)
  let pid = 0
  while (readSync(fd, bytes) > 0) {
    const { index, result } = parseReport(bytes)
    if (result < 0) throw new Error(`entry ${index} of the tape: ${result}`)
    if (index === clone) pid = result
  }
  return pid
}
