/** RFC 7386: null removes, objects merge, everything else replaces. */
export function applyMergePatch(document: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return structuredClone(patch)
  const merged: Record<string, unknown> = isObject(document) ? { ...document } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else {
      const before = Object.hasOwn(merged, key) ? merged[key] : undefined
      Object.defineProperty(merged, key, {
        value: applyMergePatch(before, value),
        enumerable: true,
        writable: true,
        configurable: true,
      })
    }
  }
  return merged
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
