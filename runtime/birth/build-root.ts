import { type BigIntStats, closeSync, constants, fstatSync, openSync } from 'node:fs'
import { posix } from 'node:path'
import { openBelow } from '../linux/at-files.ts'
import { mountAttributes, openFlags } from '../linux/constants.ts'
import type { HostFacts } from '../linux/host.ts'
import type { OciSpec } from '../spec/types.ts'
import { flags, makeFolderInRoot, mountSetattr } from '../tape/calls.ts'
import type { Arg, SyscallTape } from '../tape/syscall-tape.ts'
import { openTerminal, recordDevices } from './devices.ts'
import { copyDescriptors, copyUpResult, type EarlyGate, masterDescriptor, passGate } from './gate.ts'
import type { Workshop } from './host-device.ts'
import { enterHostRoot, hasMountNamespace, recordHostRoot } from './host-root.ts'
import { throughLinks } from './image-links.ts'
import { type MountPlan, recordMounts } from './mounts.ts'
import type { BirthPlan } from './plan.ts'
import {
  enterRoot,
  hidePaths,
  isPeerOfHost,
  makeRootReadonly,
  type RootFrom,
  type RootPlan,
  recordRoot,
} from './rootfs.ts'
import type { IdMaps, UserNamespaces } from './user-namespace.ts'

/** What a birth is made from, and what it gathers for its player while it is recorded. */
export interface Scene {
  plan: BirthPlan & { host: HostFacts }
  /** Of the container's user namespace, if it has one. */
  maps: IdMaps | undefined
  spaces: UserNamespaces
  gates: EarlyGate[]
  warnings: string[]
}

/** The root with everything in it, from its mount to pivot_root. */
export function buildRoot(tape: SyscallTape, scene: Scene, from: RootFrom): void {
  const { plan, maps, spaces, warnings } = scene
  const { spec, cgroup, host, bundle } = plan
  const { fromHost } = from
  const inHost = !hasMountNamespace(spec)
  const root = inHost ? recordHostRoot(tape, plan.root) : recordRoot(tape, plan.root, from)
  tape.call('umask', [0])
  const lookUp = (path: string) => lookUpInRoot(plan.root, path)
  const modeOf = (path: string) => {
    const found = lookUp(path)
    return found?.isDirectory() ? Number(found.mode) & 0o7777 : undefined
  }
  const copyUp: MountPlan['copyUp'] = (source, target, keep) => {
    passCopyUp(tape, scene, { from: source, to: target, keep })
  }
  const follow = linksOf(plan.root, spec)
  const common = { root, spec, bundle, cgroups: cgroup.views, fromHost, maps, spaces, warnings }
  const late = recordMounts(tape, { ...common, modeOf, copyUp, throughLinks: follow })
  tape.because('devices and links that every container has, made on descriptors inside the root')
  recordDevices(tape, root, { spec, fromHost, bind: maps && workshopOf(scene.plan, maps), lookUp })
  tape.because('the working directory, where the image has none')
  makeFolderInRoot(tape, root, spec.process?.cwd ?? '/')
  if (spec.process?.terminal) {
    tape.because('a terminal of the container’s own devpts; its master is fetched while the gate is shut')
    openTerminal(tape, root, { masterDescriptor, size: spec.process.consoleSize, console: true })
  }
  const { prestart = [], createRuntime = [], createContainer = [] } = spec.hooks ?? {}
  if (prestart.length + createRuntime.length + createContainer.length > 0) {
    tape.because('the gate for hooks: all is mounted, the root can still be written, and is not entered yet')
    scene.gates.push({ name: 'create-hooks', at: passGate(tape, 'create-hooks') })
  }
  if (late.length > 0) tape.because('read-only, now that nothing has to be made in it any more')
  for (const mount of late) mountSetattr(tape, mount, { set: mountAttributes.MOUNT_ATTR_RDONLY, clear: 0 })
  hidePaths(tape, root, { spec, emptyFolder: plan.emptyFolder, host, fromHost })
  if (spec.root?.readonly) makeRootReadonly(tape, root)
  if (inHost) enterHostRoot(tape, root)
  else enterRoot(tape, root, plan.root.propagation, plan.wishes?.noPivot)
}

function workshopOf({ root, emptyFolder }: BirthPlan, maps: IdMaps): Workshop {
  return { maps, emptyFolder: isPeerOfHost(root.propagation) ? undefined : emptyFolder }
}

/** The player copies: it finds both folders at known numbers in the process that waits. */
function passCopyUp(
  tape: SyscallTape,
  scene: Scene,
  { from, to, keep }: { from: Arg; to: Arg; keep: { mode: boolean; owner: boolean } },
): void {
  const cloexec = flags(openFlags.O_CLOEXEC, openFlags)
  tape.call('dup3', [from, copyDescriptors.from, cloexec])
  tape.call('dup3', [to, copyDescriptors.to, cloexec])
  scene.gates.push({ name: 'copy-up', at: passGate(tape, 'copy-up', copyUpResult(keep)) })
}

/** Follows the links of the image to where something is to be mounted; below what is mounted itself there are none. */
function linksOf({ path, overlay }: RootPlan, { mounts = [] }: OciSpec): (destination: string) => string {
  const layers = overlay ? [overlay.upper, ...overlay.lower] : [path]
  const all = new Set(mounts.map(({ destination }) => posix.join('/', destination)))
  return (destination) => {
    const own = posix.join('/', destination)
    return throughLinks(layers, own, (folder) => folder !== own && all.has(folder))
  }
}

/** What lies at a path of a root that is open to us, links of the image resolved inside it. */
function lookUpInRoot({ path, overlay }: RootPlan, name: string): BigIntStats | undefined {
  for (const layer of overlay ? [overlay.upper, ...overlay.lower] : [path]) {
    const opened: number[] = []
    try {
      const root = openSync(layer, openFlags.O_PATH | constants.O_DIRECTORY)
      opened.push(root)
      const found = openBelow(root, Buffer.from(name), { flags: openFlags.O_PATH })
      opened.push(found)
      return fstatSync(found, { bigint: true })
    } catch {
      // Not in this layer; and where nothing is known, nothing is assumed.
    } finally {
      for (const fd of opened) closeSync(fd)
    }
  }
  return undefined
}
