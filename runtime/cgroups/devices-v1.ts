import type { OciDeviceRule } from '../spec/types.ts'

/** What every container may use whatever its rules say: the default devices, its terminals, and making nodes. */
const defaults: readonly OciDeviceRule[] = [
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
  ...[3, 5, 7, 8, 9].map((minor) => ({ allow: true, type: 'c', major: 1, minor, access: 'rwm' })),
  ...[0, 1, 2].map((minor) => ({ allow: true, type: 'c', major: 5, minor, access: 'rwm' })),
  { allow: true, type: 'c', major: 136, access: 'rwm' },
]

/**
 * Device rules as lines for devices.allow and devices.deny, in order. Without any rule the group keeps its parent's;
 * a rule for all devices that allows makes the rest needless.
 */
export function deviceRuleLines(rules: readonly OciDeviceRule[] = []): { file: string; line: string }[] {
  if (rules.length === 0) return []
  const deniesAll = rules.some((rule) => !rule.allow && isAll(rule))
  const all = deniesAll ? [...rules, ...defaults] : rules
  return all.map((rule) => ({ file: rule.allow ? 'devices.allow' : 'devices.deny', line: ruleLine(rule) }))
}

function isAll({ type = 'a', major, minor }: OciDeviceRule): boolean {
  return type === 'a' && (major ?? -1) < 0 && (minor ?? -1) < 0
}

function ruleLine(rule: OciDeviceRule): string {
  if (isAll(rule)) return 'a'
  const part = (number: number | undefined) => (number === undefined || number < 0 ? '*' : String(number))
  return `${rule.type ?? 'a'} ${part(rule.major)}:${part(rule.minor)} ${rule.access || 'rwm'}`
}
