/** True if two JSON values mean the same; a key with undefined counts as absent. */
export function isEqual(left: unknown, right: unknown): boolean {
  if (left === right) return true
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false
  if (Array.isArray(left) || Array.isArray(right)) {
    if (!Array.isArray(left) || !Array.isArray(right) || left.length !== right.length) return false
    return left.every((item, at) => isEqual(item, right[at]))
  }
  const leftRecord = left as Record<string, unknown>
  const rightRecord = right as Record<string, unknown>
  for (const key in leftRecord) if (!isEqual(leftRecord[key], rightRecord[key])) return false
  for (const key in rightRecord) if (rightRecord[key] !== undefined && leftRecord[key] === undefined) return false
  return true
}
