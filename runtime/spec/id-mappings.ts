import { specInvalid } from './errors.ts'
import type { OciIdMapping, OciSpec } from './types.ts'

/** As many ranges as the kernel takes (user_namespaces(7)). */
const mostRanges = 340
const pastLastId = 2 ** 32

/** Throws SPEC_INVALID, naming `field`, for ranges that the kernel would refuse with nothing but EINVAL. */
export function checkMappings(field: string, mappings: readonly OciIdMapping[]): void {
  if (mappings.length > mostRanges)
    throw specInvalid(field, `${mappings.length} ranges; the kernel takes ${mostRanges}`)
  mappings.forEach(({ containerID, hostID, size }, at) => {
    const range = `${field}[${at}]`
    if (size <= 0) throw specInvalid(`${range}.size`, `${size} maps no id: it must be at least 1`)
    // The last id means "none" to the kernel.
    if (Math.max(containerID, hostID) + size > pastLastId - 1) throw specInvalid(range, 'reaches beyond the last id')
    for (const key of ['containerID', 'hostID'] as const) {
      const own = { containerID, hostID }[key]
      const before = mappings
        .slice(0, at)
        .findIndex((other) => own < other[key] + other.size && other[key] < own + size)
      if (before >= 0) throw specInvalid(`${range}.${key}`, `overlaps ${field}[${before}]`)
    }
  })
}

/** What is written to uid_map or gid_map: `0 100000 65536`, one range a line. */
export function mapText(mappings: readonly OciIdMapping[]): string {
  return mappings.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join('')
}

/** The ranges of a uid_map or gid_map. */
export function parseMap(text: string): OciIdMapping[] {
  return text.split('\n').flatMap((line) => {
    const [containerID, hostID, size] = line.trim().split(/\s+/).map(Number)
    return containerID === undefined || hostID === undefined || size === undefined
      ? []
      : [{ containerID, hostID, size }]
  })
}

/** The id outside that `id` inside is; undefined when it is not mapped. */
export function hostIdOf(mappings: readonly OciIdMapping[], id: number): number | undefined {
  const range = mappings.find(({ containerID, size }) => id >= containerID && id < containerID + size)
  return range === undefined ? undefined : range.hostID + id - range.containerID
}

/**
 * A new user namespace for which no ids are given at all has one, as with crun: root inside is root outside, and everybody else is
 * nobody. runc refuses it.
 */
export function withIdMappings(spec: OciSpec): OciSpec {
  const { linux } = spec
  const isNew = linux?.namespaces?.some(({ type, path }) => type === 'user' && !path)
  if (!isNew || linux?.uidMappings?.length || linux?.gidMappings?.length) return spec
  const root = [{ containerID: 0, hostID: 0, size: 1 }]
  return { ...spec, linux: { ...linux, uidMappings: root, gidMappings: root } }
}

/** Throws SPEC_INVALID unless mappings and user namespace of a container belong together. */
export function checkUserNamespace({ linux }: OciSpec): void {
  const { uidMappings = [], gidMappings = [], namespaces = [] } = linux ?? {}
  checkMappings('linux.uidMappings', uidMappings)
  checkMappings('linux.gidMappings', gidMappings)
  const user = namespaces.find(({ type }) => type === 'user')
  const first = uidMappings.length > 0 ? 'uidMappings' : 'gidMappings'
  if (!user && uidMappings.length + gidMappings.length > 0) {
    throw specInvalid(`linux.${first}`, 'without a user namespace in linux.namespaces there is nothing to map')
  }
  if (!user || user.path !== undefined) return
  for (const [key, mappings] of Object.entries({ uidMappings, gidMappings })) {
    if (mappings.length > 0) continue
    throw specInvalid(`linux.${key}`, 'is empty: in a new user namespace every id would be nobody')
  }
}
