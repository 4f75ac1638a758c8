/** Specifiers of all static and dynamic imports and re-exports, and of files named by `new URL('./x.ts', import.meta.url)`. */
export function importsOf(source: string): string[] {
  const found = source.matchAll(/(?:\bfrom\s+|\bimport\s*\(\s*|\bimport\s+|new URL\(\s*)'([^']+)'/g)
  return [...found].map((match) => match[1] ?? '')
}

/** The first import cycle, as the list of its files; empty when there is none. */
export function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const path: string[] = []
  const visit = (file: string): string[] => {
    const at = path.indexOf(file)
    if (at >= 0) return [...path.slice(at), file]
    if (done.has(file)) return []
    path.push(file)
    for (const target of graph.get(file) ?? []) {
      const cycle = visit(target)
      if (cycle.length > 0) return cycle
    }
    path.pop()
    done.add(file)
    return []
  }
  for (const file of graph.keys()) {
    const cycle = visit(file)
    if (cycle.length > 0) return cycle
  }
  return []
}

/**
 * Functions longer than `limit` lines. Reads the formatter's own indentation instead of a syntax tree: a declaration
 * ends at the first line that is indented like its beginning and starts with `}` or `)`.
 */
export function longFunctions(file: string, source: string, limit: number): string[] {
  const lines = source.split('\n')
  const starts =
    /^(\s*)(?:export )?(?:(?:async )?function\*? (\w+)|const (\w+) = (?:async )?(?:\([^)]*\)|\w+)(?:: [^=]+)? =>|(?:private |protected |override |static |async |get |set )*\*?([#\w]+)\(.*\{$)/
  return lines.flatMap((line, at) => {
    const match = starts.exec(line)
    // An arrow that does not open a block on its own line is one expression.
    const opens = /[{(]$/.test(line)
    if (
      !match ||
      (match[3] !== undefined && !opens) ||
      /^\s*(if|for|while|switch|return|await|expect|describe|it)\b/.test(line)
    )
      return []
    const indent = match[1] ?? ''
    const length = lines
      .slice(at + 1)
      .findIndex((next) => next.startsWith(`${indent}}`) || next.startsWith(`${indent})`))
    const name = match[2] ?? match[3] ?? match[4] ?? '?'
    return length + 2 > limit ? [`${file}: ${name} has ${length + 2} lines`] : []
  })
}
