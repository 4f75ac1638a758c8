import { closeSync, existsSync, readFileSync } from 'node:fs'
import { hasCode } from '../base/errors.ts'
import { targetDescriptor } from '../birth/exec.ts'
import { hasMountNamespace } from '../birth/host-root.ts'
import { type LiveMountPlan, recordLiveMount, recordLiveUnmount } from '../birth/live-mount.ts'
import type { Birth } from '../birth/order.ts'
import { cgroups } from '../cgroups/driver.ts'
import { playBirth } from '../launcher/birth-play.ts'
import { waitForChild } from '../launcher/children.ts'
import { folderOf, readRecord, writeWhole } from '../launcher/records.ts'
import { makePipe, pidfdOpen, startTimeOf } from '../linux/process.ts'
import { specInvalid, specUnsupported } from '../spec/errors.ts'
import type { OciMount } from '../spec/types.ts'
import { type Report, stepError } from '../tape/play.ts'
import { marksOf } from './create.ts'
import { containerError } from './errors.ts'
import { savedConfig } from './saved-config.ts'
import { requireState } from './state.ts'

const living = ['created', 'running', 'paused'] as const

/** Mounts one more thing in a living container. Throws NOT_FOUND, WRONG_STATE, SPEC_INVALID, TAPE_STEP_FAILED. */
export async function addMount(root: string, id: string, mount: OciMount): Promise<void> {
  requireState(root, id, { verb: 'mount in', states: living })
  const destination = plainDestination(mount.destination)
  const added = addedMounts(root, id)
  await play(root, id, (plan) => recordLiveMount({ ...mount, destination }, plan))
  saveMounts(root, id, [...added, { ...mount, destination }])
}

/**
 * Takes away what `addMount` has mounted at `destination`, the last of them if there are several. Mounts that the container
 * was born with stay: some of them hide what it must not see. Throws NOT_FOUND, WRONG_STATE, TAPE_STEP_FAILED.
 */
export async function removeMount(root: string, id: string, destination: string): Promise<void> {
  requireState(root, id, { verb: 'unmount in', states: living })
  const added = addedMounts(root, id)
  const plain = plainDestination(destination)
  const last = added.findLastIndex((mount) => mount.destination === plain)
  if (last < 0) {
    const message = `unmount ${destination} in ${id}: nothing has been mounted there since the container was created`
    throw containerError('NOT_FOUND', message, { id, destination })
  }
  await play(root, id, (plan) => recordLiveUnmount(plain, plan))
  saveMounts(root, id, added.toSpliced(last, 1))
}

/** What has been added and not removed, the oldest first. */
export function addedMounts(root: string, id: string): OciMount[] {
  const file = fileOf(root, id)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as OciMount[]) : []
}

function saveMounts(root: string, id: string, mounts: readonly OciMount[]): void {
  writeWhole(fileOf(root, id), mounts)
}

const fileOf = (root: string, id: string) => `${folderOf(root, id)}/mounts.json`

/** One spelling for one place: without it, `/a` would not remove what was added as `/a/`. */
function plainDestination(destination: unknown): string {
  const parts =
    typeof destination === 'string' ? destination.split('/').filter((part) => part !== '' && part !== '.') : []
  if (parts.length === 0 || parts.includes('..')) {
    throw specInvalid('mounts.destination', `${JSON.stringify(destination)} is no place below the root`)
  }
  return `/${parts.join('/')}`
}

async function play(root: string, id: string, record: (plan: LiveMountPlan) => Birth): Promise<void> {
  const { cgroupPath, pid, startTime } = readRecord(root, id) ?? {}
  const { spec, bundle } = savedConfig(root, id)
  if (!hasMountNamespace(spec)) {
    throw specUnsupported('linux.namespaces', 'without a mount namespace a mount would be the host’s')
  }
  const birth = record({ spec, bundle, cgroups: cgroups().membership(cgroupPath ?? '').views })
  const { tape } = birth
  const pidfd = pidfdOpen(pid ?? 0)
  // The pidfd is held: what has this start time now is what it refers to.
  if (startTimeOf(pid ?? 0) !== startTime) {
    closeSync(pidfd)
    throw containerError('WRONG_STATE', `mount in ${id}: it has just ended`, { id })
  }
  const report = makePipe()
  const inherit = new Map([[targetDescriptor, pidfd]])
  const onChild = (child: number) => void waitForChild(child)
  const request = { tape: tape.encode(), marks: marksOf(birth), reportRead: report.read, reportWrite: report.write }
  try {
    const { pid: worker } = await playBirth({ ...request, inherit, onChild }, () => {
      for (const fd of [pidfd, report.write]) closeSync(fd)
    })
    await waitForChild(worker)
  } catch (error) {
    const isStep = hasCode(error, 'PLAY_FAILED') && error.facts.index !== undefined
    throw isStep ? stepError(tape, error.facts as unknown as Report) : error
  }
}
