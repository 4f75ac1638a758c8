import { readFileSync } from 'node:fs'
import { cloneFlags, openFlags, prctlOptions } from '../linux/constants.ts'
import { EPERM } from '../linux/errno-numbers.ts'
import type { HostFacts } from '../linux/host.ts'
import { specInvalid } from '../spec/errors.ts'
import { hostIdOf, mapText, parseMap } from '../spec/id-mappings.ts'
import type { OciIdMapping, OciSpec, OciUser } from '../spec/types.ts'
import { flags, open } from '../tape/calls.ts'
import { type Result, SyscallTape } from '../tape/syscall-tape.ts'
import { allCapabilities, setSets } from './capabilities.ts'
import { namespaceDescriptor } from './gate.ts'
import { type OwnStdio, ownStdio } from './users.ts'

/** A user namespace that the player makes before it plays the tape, which finds it at `descriptor`. */
export interface NewUserNamespace {
  descriptor: number
  /** Text for uid_map and gid_map. */
  uidMap: string
  gidMap: string
}

/** Two lists of ranges; `undefined` where nobody knows how a namespace of others maps. */
export interface IdMaps {
  uid: readonly OciIdMapping[] | undefined
  gid: readonly OciIdMapping[] | undefined
}

/** The user namespaces that one tape needs: equal maps are made once. */
export class UserNamespaces {
  readonly made: NewUserNamespace[] = []

  /** The descriptor of a namespace with these maps. */
  descriptorOf(uid: readonly OciIdMapping[], gid: readonly OciIdMapping[]): number {
    const [uidMap, gidMap] = [mapText(uid), mapText(gid)]
    const known = this.made.find((one) => one.uidMap === uidMap && one.gidMap === gidMap)
    if (known) return known.descriptor
    const descriptor = namespaceDescriptor + this.made.length
    this.made.push({ descriptor, uidMap, gidMap })
    return descriptor
  }
}

/** The maps of the container's own user namespace; undefined for a container that has none. */
export function idMapsOf({ linux }: OciSpec): IdMaps | undefined {
  const user = linux?.namespaces?.find(({ type }) => type === 'user')
  if (!user) return undefined
  if (linux?.uidMappings?.length) return { uid: linux.uidMappings, gid: linux.gidMappings ?? [] }
  const folder = /^\/proc\/(\d+|self)(?=\/ns\/user$)/.exec(user.path ?? '')?.[0]
  const read = (file: string) => (folder === undefined ? undefined : mapOf(`${folder}/${file}`))
  return { uid: read('uid_map'), gid: read('gid_map') }
}

function mapOf(file: string): OciIdMapping[] | undefined {
  try {
    return parseMap(readFileSync(file, 'latin1'))
  } catch {
    // The tape says what is wrong with the path, when it cannot be opened there either.
    return undefined
  }
}

/** Throws SPEC_INVALID, naming the mapping, for an id of the user that the namespace does not have. */
export function checkUser(user: OciUser, { uid, gid }: IdMaps): void {
  const check = (field: string, id: number, kind: 'uid' | 'gid') => {
    const mappings = { uid, gid }[kind]
    if (mappings === undefined || hostIdOf(mappings, id) !== undefined) return
    throw specInvalid(field, `${id} is in no range of linux.${kind}Mappings`)
  }
  check('process.user.uid', user.uid, 'uid')
  check('process.user.gid', user.gid, 'gid')
  user.additionalGids?.forEach((group, at) => {
    check(`process.user.additionalGids[${at}]`, group, 'gid')
  })
}

/**
 * setns(2) into the container's user namespace, a new one or that of `path`. The last of the namespaces to be joined:
 * whoever is in it may not join those that belong to the host; and before clone3, so that those which that makes belong to it.
 */
export function joinUserNamespace(tape: SyscallTape, spec: OciSpec, made: UserNamespaces): void {
  const user = spec.linux?.namespaces?.find(({ type }) => type === 'user')
  if (!user) return
  const { uidMappings = [], gidMappings = [] } = spec.linux ?? {}
  if (user.path === undefined) enterNew(tape, made, { uid: uidMappings, gid: gidMappings })
  else {
    tape.because('into the user namespace: what clone3 makes from here on belongs to it')
    tape.call('setns', [open(tape, user.path, openFlags.O_RDONLY), flags(cloneFlags.CLONE_NEWUSER, cloneFlags)])
  }
}

/** setns(2) into a user namespace that the player has made. */
export function enterNew(
  tape: SyscallTape,
  made: UserNamespaces,
  { uid, gid }: { uid: readonly OciIdMapping[]; gid: readonly OciIdMapping[] },
): void {
  const descriptor = made.descriptorOf(uid, gid)
  const shown = [uid, gid].map((mappings) => mapText(mappings).trim().replaceAll('\n', ', '))
  tape.because(
    `into the user namespace (the player has made it: uids ${shown[0]}; gids ${shown[1]}): what clone3 makes from here on belongs to it`,
  )
  tape.call('setns', [descriptor, flags(cloneFlags.CLONE_NEWUSER, cloneFlags)])
}

/**
 * The root of the user namespace, or where it has none its lowest id: files that are made must have an owner in it. The
 * change to an id other than root would take the capabilities away, so those are kept and made effective again.
 */
export function becomeRootInside(tape: SyscallTape, { uid, gid }: IdMaps, host: HostFacts): void {
  const lowest = (mappings: IdMaps['uid']) => (mappings ? Math.min(...mappings.map((range) => range.containerID)) : 0)
  const [user, group] = [lowest(uid), lowest(gid)]
  tape.because('no id of the host any more: the user namespace’s own root, and none of the host’s groups')
  // Where somebody has denied setgroups for good (user_namespaces(7)), there is nothing to be done about it.
  tape.call('setgroups', [0, null], { tolerate: [EPERM] })
  tape.call('setresgid', [group, group, group])
  if (user !== 0) tape.call('prctl', [{ value: prctlOptions.PR_SET_KEEPCAPS, shown: 'PR_SET_KEEPCAPS' }, 1, 0, 0, 0])
  tape.call('setresuid', [user, user, user])
  const all = allCapabilities(host)
  if (user !== 0) setSets(tape, { effective: all, permitted: all, inheritable: 0n })
}

/** Makes the streams of a container its user's own, by the ids of the host. */
export function ownStdioOutside(
  tape: SyscallTape,
  { user, maps, which }: { user: OciUser; maps: IdMaps; which: OwnStdio },
): void {
  const owner = maps.uid && hostIdOf(maps.uid, user.uid)
  if (owner !== undefined) ownStdio(tape, owner, which)
}

/** Makes a descriptor with the privileges and paths of the host. */
export type FromHost = (make: (tape: SyscallTape) => Result) => Result

/** For a container without a user namespace: whenever it is wanted. */
export function now(tape: SyscallTape): FromHost {
  return (make) => make(tape)
}

/**
 * Inside a user namespace the host's files cannot be cloned, mounted id-mapped, or even reached any more. So `rehearse`
 * is recorded once on a tape that is thrown away, and everything that it wants from the host goes onto `tape` now; when it
 * is recorded in earnest, each is there already.
 */
export function madeAhead(tape: SyscallTape, rehearse: (tape: SyscallTape, fromHost: FromHost) => void): FromHost {
  const made: Result[] = []
  rehearse(new SyscallTape(), (make) => {
    made.push(make(tape))
    return { entry: 0 }
  })
  return () => {
    const next = made.shift()
    if (!next) throw new Error('the rehearsal wanted less from the host than the birth')
    return next
  }
}
