import { CoracleError, hasCode } from '../base/errors.ts'
import { keptByCopyUp } from '../birth/gate.ts'
import { type Birth, recordBirth } from '../birth/order.ts'
import type { BirthWishes } from '../birth/plan.ts'
import { preservedDescriptor } from '../birth/preserved.ts'
import type { Overlay } from '../birth/rootfs.ts'
import { cgroups } from '../cgroups/driver.ts'
import type { AtGate } from '../launcher/gates.ts'
import type { ContainerRecord, LogOptions, RuntimeHandler, TapeMarks } from '../launcher/protocol.ts'
import { emptyFolderOf, writeRecord } from '../launcher/records.ts'
import type { LinuxResources, OciSpec } from '../spec/types.ts'
import { validateSpec } from '../spec/validate.ts'
import { callersStdio } from './callers-stdio.ts'
import { cgroupPathOf } from './cgroup-path.ts'
import { checkId, makeFolder, rootPath } from './container-folder.ts'
import { removeTraces } from './delete.ts'
import { containerError } from './errors.ts'
import { withHome } from './home.ts'
import { noteHostRoot } from './host-root.ts'
import { isForeign } from './is-foreign.ts'
import type { Workplace } from './player.ts'
import { type SavedConfig, saveConfig } from './saved-config.ts'
import { type ContainerState, stateFrom } from './state.ts'

export interface CreateOptions {
  id: string
  spec: OciSpec
  /** Against which a relative `root.path` counts; absent: the path must be absolute. */
  bundle?: string
  /** The root is made of these layers instead of `spec.root.path`, inside the container's mount namespace only. */
  rootfs?: { overlay: Overlay }
  wishes?: BirthWishes
  log?: LogOptions
  /** The OCI runtime that shall make it instead of ours. */
  handler?: RuntimeHandler
  /** Keep a standard input open that clients can attach to. */
  stdin?: boolean
  /** End it when the first client that attached to it goes. */
  stdinOnce?: boolean
}

/**
 * Gives birth to a container that waits at its gate for `start`. Whatever fails, nothing is left behind. Throws
 * INVALID_ID, ALREADY_EXISTS, SPEC_INVALID, SPEC_UNSUPPORTED, CGROUP_…, TAPE_STEP_FAILED, HOOK_FAILED, ID_MAP_REFUSED.
 */
export async function create(place: Workplace, options: CreateOptions): Promise<ContainerState> {
  const { id, bundle, rootfs, wishes, log, stdin = false, stdinOnce = false, handler } = options
  checkId(id)
  const spec = handler ? options.spec : validateSpec(options.spec)
  const cgroupPath = cgroupPathOf(spec.linux?.cgroupsPath, id)
  const record: ContainerRecord = {
    ...emptyRecord(id, 'container', place),
    annotations: spec.annotations ?? {},
    cgroupPath,
    terminal: spec.process?.terminal ?? false,
    stdin,
    stdinOnce,
    ...(bundle === undefined ? {} : { bundle }),
    ...(log ? { log } : {}),
    ...(handler ? { handler } : {}),
    ...(!handler && Object.values(spec.hooks ?? {}).some((hooks) => hooks.length > 0) ? { hasHooks: true } : {}),
  }
  if (isForeign(record))
    return (await import('./create-foreign.ts')).createForeign(place, record, { spec, bundle, rootfs })
  const config: SavedConfig = { spec, rootfs, bundle, ...(wishes ? { wishes } : {}) }
  let hooked = false
  const atGate: AtGate = async ({ name, pid, result }) => {
    if (name === 'copy-up') return (await import('./copy-up.ts')).copyUp(id, pid, keptByCopyUp(result))
    if (name === 'seccomp-agent') {
      return (await import('./seccomp-agent.ts')).tellAgent({ record, spec, pid, listener: result })
    }
    hooked = true
    // From now on it can be asked for: hooks may take long.
    writeRecord(place.root, record)
    const { runHooks } = await import('./hooks.ts')
    for (const kind of ['prestart', 'createRuntime', 'createContainer'] as const) {
      await runHooks(kind, { record, spec, status: 'creating', pid, environment: place.environment })
    }
  }
  try {
    const plan = {
      resources: spec.linux?.resources,
      hasOverlay: rootfs !== undefined,
      // Before there is a cgroup: whoever removes what a create has left that was killed finds its path there.
      save: () => {
        saveConfig(place.root, id, config)
        noteHostRoot(place.root, id, { spec, path: rootPath(place.root, id, config) })
      },
      recordTape: () => birthOf(place, id, config),
      atGate,
      descriptors: preservedOf(wishes),
    }
    return await bear(place, record, plan)
  } catch (error) {
    if (hooked) await (await import('./hooks.ts')).runPoststop(place, { record, spec, environment: place.environment })
    throw error
  }
}

/** The tape of a container; the same for create, for explaining it, and for naming a step that failed. */
export function birthOf(
  place: Pick<Workplace, 'root'> & { player?: Workplace['player'] },
  id: string,
  config: SavedConfig,
): Birth {
  const { spec, rootfs, bundle, wishes } = config
  const propagation = spec.linux?.rootfsPropagation
  const path = rootPath(place.root, id, config)
  const own = spec.process && bundle !== undefined ? { ...spec, process: withHome(spec.process, path) } : spec
  return recordBirth({
    spec: own,
    root: { path, ...(rootfs ? { overlay: rootfs.overlay } : {}), ...(propagation ? { propagation } : {}) },
    cgroup: cgroups().membership(cgroupPathOf(spec.linux?.cgroupsPath, id)),
    bundle,
    emptyFolder: emptyFolderOf(place.root),
    stdio: place.player?.keeper === 'none' ? callersStdio() : 'pipes',
    wishes,
  })
}

/** What makes one birth differ from another. */
export interface BearPlan {
  resources: LinuxResources | undefined
  hasOverlay: boolean
  save?: () => void
  recordTape: () => Birth
  atGate: AtGate
  /** More descriptors for the player: its number, and ours. */
  descriptors?: ReadonlyMap<number, number>
}

/** A failed step of a traced tape, as the step of the birth that it belongs to. */
function inBirth(error: unknown, trace: Workplace['trace']): unknown {
  if (!trace || !hasCode(error, 'PLAY_FAILED') || error.facts.index === undefined) return error
  const { message, code, cause, facts } = error
  return new CoracleError(message, { code, cause, facts: { ...facts, index: trace.entryOf(Number(facts.index)) } })
}

/** Whose group it is already would be limited, frozen and in the end killed together with us: runc refuses it too. */
function requireUnused({ id, cgroupPath }: ContainerRecord): void {
  if (cgroupPath === '' || !cgroups().exists(cgroupPath)) return
  const inUse = (reason: string) =>
    containerError('CGROUP_IN_USE', `create ${id}: container's cgroup ${reason}`, { id, cgroup: cgroupPath })
  const there = cgroups().pids(cgroupPath).length
  if (there > 0) throw inUse(`is not empty: ${there} process(es) found`)
  if (cgroups().isFrozen(cgroupPath)) throw inUse('unexpectedly frozen')
}

/** Makes the folder and the cgroup and plays the tape up to its gate; whatever fails, nothing is left. */
export async function bear(place: Workplace, record: ContainerRecord, plan: BearPlan): Promise<ContainerState> {
  makeFolder(place, record.id, plan.hasOverlay)
  try {
    requireUnused(record)
  } catch (error) {
    // The folder alone: the group is not ours.
    await removeTraces(place, record.id, '')
    throw error
  }
  try {
    plan.save?.()
    for (const warning of cgroups().create(record.cgroupPath, plan.resources ?? {})) place.warn(warning)
    const birth = plan.recordTape()
    const { tape } = birth
    for (const warning of birth.warnings) place.warn(`${record.id}: ${warning}`)
    try {
      const traced = place.trace?.interleave(birth)
      const born = await place.player.create(
        { ...record, steps: tape.entries.length },
        {
          tape: (traced?.tape ?? tape).encode(),
          marks: traced?.marks ?? marksOf(birth),
          atGate: plan.atGate,
          ...descriptorsOf(plan.descriptors, traced?.descriptors),
          ...(traced ? { onStarted: traced.onStarted } : {}),
        },
      )
      return stateFrom(born, { status: born.startedAt === undefined ? 'created' : 'running' })
    } catch (error) {
      const { explainBirth } = await import('./explain-step.ts')
      throw explainBirth(inBirth(error, place.trace), tape, plan.resources?.memory?.limit)
    }
  } catch (error) {
    await removeTraces(place, record.id, record.cgroupPath)
    throw error
  }
}

function descriptorsOf(...maps: (ReadonlyMap<number, number> | undefined)[]) {
  const all = maps.flatMap((map) => [...(map ?? [])])
  return all.length > 0 ? { descriptors: new Map(all) } : {}
}

/** The caller's descriptors from 3 on, where the tape expects those that are preserved. */
export function preservedOf({ preserveFds = 0 }: BirthWishes = {}): ReadonlyMap<number, number> {
  return new Map(Array.from({ length: preserveFds }, (_, at) => [preservedDescriptor + at, 3 + at]))
}

/** What a player must know of a tape. */
export function marksOf({ clone, ready, gates, userNamespaces }: Birth): TapeMarks {
  return {
    clone,
    ready,
    ...(gates.length > 0 ? { gates } : {}),
    ...(userNamespaces.length > 0 ? { userNamespaces } : {}),
  }
}

/** What is the same for all that is born. */
export function emptyRecord(id: string, kind: ContainerRecord['kind'], place: Workplace): ContainerRecord {
  const createdAt = new Date().toISOString()
  const plain = { terminal: false, stdin: false, stdinOnce: false, annotations: {}, cgroupPath: '' }
  return { id, kind, createdAt, keeper: place.player.keeper, ...plain }
}
