import { closeSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { hasCode, messageOf } from '../base/errors.ts'
import { type Exit, exitBehind, pidfdOpen, pollReadable, startTimeOf } from '../linux/process.ts'
import { ContainerProcess } from './container-process.ts'
import type { ContainerRecord } from './protocol.ts'
import { listIds, readExit, readRecord } from './records.ts'
import type { LauncherServer } from './server.ts'

interface Adopted {
  container: ContainerProcess
  pid: number
  pidfd: number
}

/**
 * Takes over the containers of a launcher that is gone: reads on in their output, waits for their end by pidfd (they
 * are somebody else's children now), and says of those that ended meanwhile that nobody knows how.
 */
export function adoptAll(server: LauncherServer): void {
  const { root, log } = server.around
  const adopted: Adopted[] = []
  for (const id of listIds(root)) {
    const record = readRecord(root, id)
    if (record?.keeper !== 'launcher' || readExit(root, id)) continue
    try {
      const one = adoptOne(server, record)
      if (one) adopted.push(one)
    } catch (error) {
      // One spoilt container must not keep the others from being looked after.
      log.error('container cannot be adopted', { id, reason: messageOf(error) })
    }
  }
  void waitFor(adopted)
}

function adoptOne(server: LauncherServer, record: ContainerRecord): Adopted | undefined {
  const { id } = record
  const { log } = server.around
  const container = new ContainerProcess(record, server.around)
  server.containers.set(id, container)
  const process = open(record)
  if (!process) {
    container.ended(unknownExit(record.pid ?? 0, 'ended while no launcher was there to see it'))
    return undefined
  }
  try {
    container.adopt()
  } catch (error) {
    log.error('output of an adopted container is lost', { id, reason: messageOf(error) })
  }
  log.info('container adopted', { id, pid: process.pid })
  return { container, ...process }
}

/** A pidfd of the recorded process, if it is still that one: the start time is compared after the pidfd is held. */
function open({ pid, startTime }: ContainerRecord): { pid: number; pidfd: number } | undefined {
  if (pid === undefined) return undefined
  let pidfd: number
  try {
    pidfd = pidfdOpen(pid)
  } catch (error) {
    if (hasCode(error, 'KERNEL') && error.facts.errno === 'ESRCH') return undefined
    throw error
  }
  if (startTimeOf(pid) === startTime) return { pid, pidfd }
  closeSync(pidfd)
  return undefined
}

async function waitFor(adopted: Adopted[]): Promise<void> {
  const waiting = [...adopted]
  while (waiting.length > 0) {
    const ended = await pollReadable(
      waiting.map(({ pidfd }) => pidfd),
      -1,
    )
    for (const pidfd of ended) {
      const [one] = waiting.splice(
        waiting.findIndex((other) => other.pidfd === pidfd),
        1,
      )
      if (one) one.container.ended(await howItEnded(one))
      closeSync(pidfd)
    }
  }
}

/** The kernel tells a pidfd's exit once the parent has reaped, which may be a moment later. */
async function howItEnded({ pid, pidfd }: Adopted): Promise<Exit & { reason?: string }> {
  for (let tries = 0; tries < 20; tries++) {
    const exit = exitBehind(pidfd, pid)
    if (exit) return exit
    await sleep(5)
  }
  return unknownExit(pid, 'its exit code went to another parent and this kernel does not tell it')
}

function unknownExit(pid: number, reason: string): Exit & { reason: string } {
  return { pid, exitCode: 255, reason }
}
