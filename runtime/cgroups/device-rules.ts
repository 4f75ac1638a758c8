import type { OciDeviceRule } from '../spec/types.ts'
import { cgroupUnsupported } from './errors.ts'

/** What a process may want of a device, as bits. */
export const accessBits = { m: 1, r: 2, w: 4 } as const
export const allAccess = 7

/** One rule with everything spelled out; an absent number is every number. */
export interface DeviceRule {
  allow: boolean
  type: 'a' | 'b' | 'c'
  major?: number
  minor?: number
  access: number
}

/** What every container may use whatever its rules say: the default devices, its terminals, and making nodes. */
const defaults: readonly DeviceRule[] = [
  { allow: true, type: 'c', access: accessBits.m },
  { allow: true, type: 'b', access: accessBits.m },
  ...[3, 5, 7, 8, 9].map((minor) => ({ allow: true, type: 'c' as const, major: 1, minor, access: allAccess })),
  ...[0, 1, 2].map((minor) => ({ allow: true, type: 'c' as const, major: 5, minor, access: allAccess })),
  { allow: true, type: 'c', major: 136, access: allAccess },
]

/**
 * The rules of config.json in their order, of which for each kind of access the last that matches decides; where none
 * does, the group's parent decides. When everything is denied once, the default devices follow at the end. Throws
 * CGROUP_UNSUPPORTED for what is no rule.
 */
export function deviceRules(rules: readonly OciDeviceRule[] | null | undefined): DeviceRule[] {
  const parsed = (rules ?? []).map(parseRule)
  return parsed.some((rule) => !rule.allow && isForAll(rule)) ? [...parsed, ...defaults] : parsed
}

/** True for a rule about every device and every access. */
export function isForAll({ type, major, minor, access }: DeviceRule): boolean {
  return type === 'a' && major === undefined && minor === undefined && access === allAccess
}

function parseRule({ allow, type = 'a', major, minor, access = '' }: OciDeviceRule, at: number): DeviceRule {
  const field = `linux.resources.devices[${at}]`
  if (type !== 'a' && type !== 'b' && type !== 'c') {
    throw cgroupUnsupported(`${field}.type`, `${JSON.stringify(type)} is none of a, b, c`)
  }
  if (!/^[rwm]*$/.test(access))
    throw cgroupUnsupported(`${field}.access`, `${JSON.stringify(access)} is not of r, w, m`)
  const bits = [...access].reduce((sum, letter) => sum | accessBits[letter as 'r' | 'w' | 'm'], 0)
  return {
    allow,
    type,
    ...numberOf('major', { field, value: major, most: 0xfff }),
    ...numberOf('minor', { field, value: minor, most: 0xfffff }),
    access: bits || allAccess,
  }
}

/** The kernel has 12 bits for major and 20 for minor numbers; -1 is OCI's word for all of them. */
function numberOf<K extends string>(
  key: K,
  { field, value, most }: { field: string; value: number | undefined; most: number },
): Partial<Record<K, number>> {
  if (value === undefined || value === -1) return {}
  if (!Number.isInteger(value) || value < 0 || value > most) {
    throw cgroupUnsupported(`${field}.${key}`, `${value} is no device number`)
  }
  return { [key]: value } as Partial<Record<K, number>>
}
