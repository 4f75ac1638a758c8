import { closeSync, constants, openSync } from 'node:fs'
import { playBirth, readRunning } from '../launcher/birth-play.ts'
import { reapLater } from '../launcher/children.ts'
import { openGate } from '../launcher/gates.ts'
import { folderOf, readRecord, writeRecord } from '../launcher/records.ts'
import { makeFifo, pidfdOpen, pollReadable, startTimeOf } from '../linux/process.ts'
import { ownStreams, playerDescriptors } from '../tape/play.ts'
import { containerError } from './errors.ts'
import type { Player } from './player.ts'
import { requireState } from './state.ts'

const { O_RDONLY, O_WRONLY, O_RDWR, O_NONBLOCK } = constants

export interface LocalPlayerOptions {
  root: string
  /** Told once the process waits at its gate; `master` is the number of its terminal's descriptor in that process. */
  onReady?: (pid: number, master: number) => void | Promise<void>
}

/**
 * Plays tapes in this process and leaves the containers to themselves, with our own streams: what `coracle oci` does.
 * Gate and reports are FIFOs on disk, because another process will open the gate.
 */
export function localPlayer({ root, onReady = () => {} }: LocalPlayerOptions): Player {
  /** Births of this very process: their reports are being read already, and a report has one reader. */
  const running = new Map<string, Promise<void>>()
  return {
    keeper: 'none',
    async create(record, { tape, marks, atGate, descriptors = new Map(), onStarted }) {
      const folder = folderOf(root, record.id)
      for (const fifo of ['gate', 'report']) makeFifo(`${folder}/${fifo}`)
      const gate = openSync(`${folder}/gate`, O_RDWR)
      const reportRead = openSync(`${folder}/report`, O_RDONLY | O_NONBLOCK)
      const reportWrite = openSync(`${folder}/report`, O_WRONLY)
      const inherit = new Map<number, number>([...ownStreams, [playerDescriptors.firstFree, gate], ...descriptors])
      const left: Promise<unknown>[] = []
      const onChild = (pid: number) => void left.push(reapLater(pid))
      const gates = { fifo: `${folder}/gate`, atGate }
      const played = await playBirth({ tape, marks, reportRead, reportWrite, inherit, gates, onChild }, () => {
        closeSync(gate)
        closeSync(reportWrite)
        onStarted?.()
      })
      const startTime = startTimeOf(played.pid)
      const alive = { ...record, pid: played.pid, ...(startTime === undefined ? {} : { startTime }) }
      writeRecord(root, alive)
      running.set(record.id, played.running)
      // Until it is reaped, what is left of the player counts in the container's cgroup.
      await Promise.all(left)
      await onReady(played.pid, played.result)
      return alive
    },
    async start(id, beforeStart) {
      requireState(root, id, { verb: 'start', states: ['created'] })
      if (readRecord(root, id)?.hasHooks) await beforeStart()
      const folder = folderOf(root, id)
      const started = running.get(id) ?? readRunning(`${folder}/report`)
      openGate(`${folder}/gate`)
      await started
      const startedAt = new Date().toISOString()
      const record = readRecord(root, id)
      if (!record) throw containerError('NOT_FOUND', `start ${id}: it has been deleted meanwhile`, { id })
      const alive = { ...record, startedAt }
      writeRecord(root, alive)
      return alive
    },
    async wait(id) {
      const { pid, startTime } = readRecord(root, id) ?? {}
      if (pid === undefined || startTimeOf(pid) !== startTime) return
      const pidfd = pidfdOpen(pid)
      await pollReadable([pidfd], -1)
      closeSync(pidfd)
    },
  }
}
