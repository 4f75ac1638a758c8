import { closeSync, constants, openSync, writeFileSync } from 'node:fs'
import { errnoOf } from '../base/errors.ts'
import { passGate } from '../birth/gate.ts'
import type { NewUserNamespace } from '../birth/user-namespace.ts'
import { cloneFlags } from '../linux/constants.ts'
import { inUserNamespace } from '../linux/host.ts'
import { makePipe } from '../linux/process.ts'
import { flags } from '../tape/calls.ts'
import { playerDescriptors, readReports, startPlayer } from '../tape/play.ts'
import { SyscallTape } from '../tape/syscall-tape.ts'
import { launcherError, playFailed } from './errors.ts'

/**
 * New user namespaces with their maps, as descriptors by the numbers that the tape knows them by; ours to close. A thread
 * cannot make one, so for each a player of its own does, and waits at its gate while we write the maps: a child that
 * nobody has reaped, so its pid is no other's. Throws PLAY_FAILED, ID_MAP_REFUSED.
 */
export async function makeUserNamespaces(
  wanted: readonly NewUserNamespace[],
  onChild: (pid: number) => void = () => {},
): Promise<Map<number, number>> {
  const made = new Map<number, number>()
  try {
    for (const one of wanted) made.set(one.descriptor, await makeOne(one, onChild))
    return made
  } catch (error) {
    for (const fd of made.values()) closeSync(fd)
    throw error
  }
}

async function makeOne({ uidMap, gidMap }: NewUserNamespace, onChild: (pid: number) => void): Promise<number> {
  const tape = new SyscallTape()
  tape.call('unshare', [flags(cloneFlags.CLONE_NEWUSER, cloneFlags)])
  const ready = passGate(tape, 'id-maps')
  const [report, gate] = [makePipe(), makePipe()]
  const pid = startPlayer(tape.encode(), report.write, { inherit: new Map([[playerDescriptors.firstFree, gate.read]]) })
  closeSync(report.write)
  closeSync(gate.read)
  try {
    await reachGate(report.read, ready)
    writeMap(pid, 'uid_map', uidMap)
    writeMap(pid, 'gid_map', gidMap)
    return openSync(`/proc/${pid}/ns/user`, constants.O_RDONLY)
  } finally {
    // Its end, too; and only now may it be reaped.
    closeSync(gate.write)
    onChild(pid)
  }
}

function reachGate(reports: number, ready: number): Promise<void> {
  return new Promise((resolve, reject) => {
    readReports(reports, (report) => {
      if (report.result < 0) reject(playFailed(report))
      else if (report.index === ready) resolve()
    }).then(() => reject(launcherError('PLAY_FAILED', 'make user namespace: the process was killed')), reject)
  })
}

function writeMap(pid: number, file: 'uid_map' | 'gid_map', text: string): void {
  try {
    writeFileSync(`/proc/${pid}/${file}`, text)
  } catch (error) {
    const errno = errnoOf(error) ?? ''
    const kind = file.slice(0, 3)
    const nested = `we are in a user namespace ourselves and do not have all these ${kind}s: who started us has to delegate them (/etc/sub${kind})`
    const reasons: Record<string, string> = {
      EPERM: inUserNamespace() ? nested : `CAP_SET${kind.toUpperCase()} or, to map id 0, CAP_SETFCAP is missing`,
      EINVAL: 'the kernel finds that ranges overlap or are too many',
    }
    const shown = text.trim().replaceAll('\n', ', ')
    const message = `write linux.${kind}Mappings "${shown}" to ${file}: ${errno}: ${reasons[errno] ?? 'the kernel refused it'}`
    throw launcherError('ID_MAP_REFUSED', message, { errno, map: shown }, error)
  }
}
