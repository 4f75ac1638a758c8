import type { OciDeviceRule } from '../spec/types.ts'
import { accessBits, type DeviceRule, deviceRules, isForAll } from './device-rules.ts'
import { cgroupUnsupported } from './errors.ts'

type Exception = DeviceRule & { type: 'b' | 'c' }

/**
 * Device rules as lines for devices.allow and devices.deny (Documentation/admin-guide/cgroup-v1/devices.rst). The
 * kernel keeps one verdict for all devices and a list of exceptions from it, and takes an exception back only by the very
 * same words; it ignores others without an error, and reads every rule of type `a` as one for all devices. So the list is
 * worked out here. Throws CGROUP_UNSUPPORTED for rules that such a list cannot hold.
 */
export function deviceRuleLines(asked: readonly OciDeviceRule[] = []): { file: string; line: string }[] {
  const rules = deviceRules(asked)
  const reset = rules.findLast(isForAll)
  let exceptions: Exception[] = []
  for (const rule of rules.slice(reset ? rules.lastIndexOf(reset) + 1 : 0).flatMap(byType)) {
    exceptions = without(exceptions, rule)
    if (rule.allow !== (reset?.allow ?? true)) exceptions.push(rule)
  }
  const fileOf = (allow: boolean) => (allow ? 'devices.allow' : 'devices.deny')
  const lines = exceptions.map((rule) => ({ file: fileOf(rule.allow), line: ruleLine(rule) }))
  return reset ? [{ file: fileOf(reset.allow), line: 'a' }, ...lines] : lines
}

function byType(rule: DeviceRule): Exception[] {
  const types = rule.type === 'a' ? (['b', 'c'] as const) : [rule.type]
  return types.map((type) => ({ ...rule, type }))
}

/** What is left of the exceptions after a rule for the contrary. */
function without(exceptions: readonly Exception[], rule: Exception): Exception[] {
  return exceptions.flatMap((before) => {
    if (before.allow === rule.allow || !overlap(before, rule)) return [before]
    const isCovered =
      (rule.major === undefined || rule.major === before.major) &&
      (rule.minor === undefined || rule.minor === before.minor)
    if (!isCovered) {
      const [narrow, wide] = [ruleLine(rule), ruleLine(before)]
      throw cgroupUnsupported('linux.resources.devices', `cgroup v1 cannot except "${narrow}" from "${wide}"`)
    }
    const access = before.access & ~rule.access
    return access === 0 ? [] : [{ ...before, access }]
  })
}

function overlap(a: Exception, b: Exception): boolean {
  const meet = (x: number | undefined, y: number | undefined) => x === undefined || y === undefined || x === y
  return a.type === b.type && (a.access & b.access) !== 0 && meet(a.major, b.major) && meet(a.minor, b.minor)
}

function ruleLine({ type, major, minor, access }: Exception): string {
  const letters = (['r', 'w', 'm'] as const).filter((letter) => access & accessBits[letter])
  return `${type} ${major ?? '*'}:${minor ?? '*'} ${letters.join('')}`
}
